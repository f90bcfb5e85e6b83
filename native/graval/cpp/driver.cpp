#include "driver.h"
#include <dlfcn.h>
#include <cstring>
#include <map>
#include <set>
#include "../cuda/emulated.h"
#include "failure.h"

#ifdef GRAVAL_FATBIN
__asm__(".section .rodata\n.balign 64\n.hidden gravalFatbin\ngravalFatbin:\n.incbin \"" GRAVAL_FATBIN "\"\n.byte 0\n.previous\n");
extern "C" const unsigned char gravalFatbin[];
#endif

namespace graval {
namespace {

/** The driver API with prototypes of our own: no CUDA header is needed to build. */
struct Api {
  using Result = int;
  Result (*init)(unsigned);
  Result (*count)(int*);
  Result (*device)(int*, int);
  Result (*name)(char*, int, int);
  Result (*uuid)(unsigned char*, int);
  Result (*total)(size_t*, int);
  Result (*attribute)(int*, int, int);
  Result (*retain)(void**, int);
  Result (*release)(int);
  Result (*use)(void*);
  Result (*load)(void**, const void*);
  Result (*unload)(void*);
  Result (*function)(void**, void*, const char*);
  Result (*memory)(size_t*, size_t*);
  Result (*take)(uint64_t*, size_t);
  Result (*giveBack)(uint64_t);
  Result (*write)(uint64_t, const void*, size_t);
  Result (*read)(void*, uint64_t, size_t);
  Result (*launch)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
  Result (*wait)();
  Result (*text)(Result, const char**);
};

const Api& api() {
  static const Api loaded = [] {
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw Failure("NO_DRIVER", "libcuda.so.1 cannot be opened: no NVIDIA driver on this machine");
    Api out{};
    const auto find = [&](auto& slot, const char* symbol) {
      slot = reinterpret_cast<std::decay_t<decltype(slot)>>(dlsym(library, symbol));
      if (slot == nullptr) throw Failure("NO_DRIVER", std::string("this libcuda.so.1 has no ") + symbol);
    };
    find(out.init, "cuInit");
    find(out.count, "cuDeviceGetCount");
    find(out.device, "cuDeviceGet");
    find(out.name, "cuDeviceGetName");
    find(out.uuid, "cuDeviceGetUuid_v2");
    find(out.total, "cuDeviceTotalMem_v2");
    find(out.attribute, "cuDeviceGetAttribute");
    find(out.retain, "cuDevicePrimaryCtxRetain");
    find(out.release, "cuDevicePrimaryCtxRelease_v2");
    find(out.use, "cuCtxSetCurrent");
    find(out.load, "cuModuleLoadData");
    find(out.unload, "cuModuleUnload");
    find(out.function, "cuModuleGetFunction");
    find(out.memory, "cuMemGetInfo_v2");
    find(out.take, "cuMemAlloc_v2");
    find(out.giveBack, "cuMemFree_v2");
    find(out.write, "cuMemcpyHtoD_v2");
    find(out.read, "cuMemcpyDtoH_v2");
    find(out.launch, "cuLaunchKernel");
    find(out.wait, "cuCtxSynchronize");
    find(out.text, "cuGetErrorString");
    return out;
  }();
  return loaded;
}

void must(const char* what, int result, const char* code = "INTERNAL") {
  if (result == 0) return;
  const char* text = nullptr;
  api().text(result, &text);
  throw Failure(code, std::string(what) + ": " + (text ? text : "unknown error of the driver"));
}

int countDevices() {
  must("cuInit", api().init(0), "NO_DEVICE");
  int count = 0;
  must("cuDeviceGetCount", api().count(&count), "NO_DEVICE");
  if (count == 0) throw Failure("NO_DEVICE", "the NVIDIA driver finds no GPU");
  return count;
}

class Cuda : public Driver {
 public:
  explicit Cuda(int index) {
#ifdef GRAVAL_FATBIN
    if (index >= countDevices()) throw Failure("NO_DEVICE", "there is no such GPU");
    must("cuDeviceGet", api().device(&device_, index), "NO_DEVICE");
    must("cuDevicePrimaryCtxRetain", api().retain(&context_, device_), "VRAM_BUSY");
    use();
    must("cuModuleLoadData", api().load(&module_, gravalFatbin));
#else
    (void)index;
    throw Failure("NO_DRIVER", "this build holds no CUDA kernels: run npm run cuda:build, then npm run graval:build");
#endif
  }
  ~Cuda() override {
    if (context_ == nullptr) return;
    api().use(context_);
    for (const uint64_t address : taken_) api().giveBack(address);
    if (module_ != nullptr) api().unload(module_);
    api().release(device_);
  }
  size_t freeMemory() override {
    use();
    size_t free = 0, total = 0;
    must("cuMemGetInfo", api().memory(&free, &total));
    return free;
  }
  uint64_t take(size_t bytes) override {
    use();
    uint64_t address = 0;
    must("cuMemAlloc", api().take(&address, bytes), "VRAM_BUSY");
    taken_.insert(address);
    return address;
  }
  void giveBack(uint64_t address) override {
    use();
    taken_.erase(address);
    must("cuMemFree", api().giveBack(address));
  }
  void write(uint64_t to, const void* from, size_t bytes) override {
    use();
    must("cuMemcpyHtoD", api().write(to, from, bytes));
  }
  void read(void* to, uint64_t from, size_t bytes) override {
    use();
    must("cuMemcpyDtoH", api().read(to, from, bytes));
  }
  void launch(const char* kernel, uint32_t gridX, uint32_t gridY, uint32_t block, void** args) override {
    use();
    void*& function = functions_[kernel];
    if (function == nullptr) must(kernel, api().function(&function, module_, kernel));
    must(kernel, api().launch(function, gridX, gridY, 1, block, 1, 1, 0, nullptr, args, nullptr));
  }
  void wait() override {
    use();
    must("cuCtxSynchronize", api().wait());
  }
  bool hasMatrixUnits() override {
    int major = 0;
    must("cuDeviceGetAttribute", api().attribute(&major, 75, device_));
    return major >= 8;
  }

 private:
  /** Calls come from whichever thread has the job. */
  void use() { must("cuCtxSetCurrent", api().use(context_)); }

  int device_ = 0;
  void *context_ = nullptr, *module_ = nullptr;
  std::set<uint64_t> taken_;
  std::map<std::string, void*> functions_;
};

class Emulated : public Driver {
 public:
  ~Emulated() override {
    for (const uint64_t address : taken_) ::free((void*)address);
  }
  size_t freeMemory() override { return 1ull << 30; }
  uint64_t take(size_t bytes) override {
    void* memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (memory == nullptr) throw Failure("VRAM_BUSY", "out of memory");
    taken_.insert((uint64_t)memory);
    return (uint64_t)memory;
  }
  void giveBack(uint64_t address) override {
    taken_.erase(address);
    ::free((void*)address);
  }
  void write(uint64_t to, const void* from, size_t bytes) override { memcpy((void*)to, from, bytes); }
  void read(void* to, uint64_t from, size_t bytes) override { memcpy(to, (const void*)from, bytes); }
  void launch(const char* kernel, uint32_t gridX, uint32_t gridY, uint32_t block, void** args) override {
    if (!emulate(kernel, gridX, gridY, block, args)) throw Failure("INTERNAL", std::string("no kernel ") + kernel);
  }
  void wait() override {}
  bool hasMatrixUnits() override { return true; }

 private:
  std::set<uint64_t> taken_;
};

}  // namespace

bool hasKernels() {
#ifdef GRAVAL_FATBIN
  return true;
#else
  return false;
#endif
}

std::unique_ptr<Driver> openCuda(int device) { return std::make_unique<Cuda>(device); }
std::unique_ptr<Driver> openEmulated() { return std::make_unique<Emulated>(); }

std::vector<DeviceRecord> cudaDevices() {
  std::vector<DeviceRecord> out(countDevices());
  for (int index = 0; index < (int)out.size(); index++) {
    DeviceRecord& record = out[index];
    int device = 0;
    must("cuDeviceGet", api().device(&device, index), "NO_DEVICE");
    char name[256] = {};
    must("cuDeviceGetName", api().name(name, sizeof name - 1, device));
    unsigned char uuid[16] = {};
    must("cuDeviceGetUuid", api().uuid(uuid, device));
    size_t total = 0;
    must("cuDeviceTotalMem", api().total(&total, device));
    const auto attribute = [&](int number) {
      int value = 0;
      must("cuDeviceGetAttribute", api().attribute(&value, number, device));
      return value;
    };
    record.name = name;
    for (const unsigned char byte : uuid) {
      const char* digits = "0123456789abcdef";
      record.uuid += {digits[byte >> 4], digits[byte & 15]};
    }
    record.memory = total;
    record.processors = attribute(16);
    record.clockRate = attribute(13);
    record.maxThreads = attribute(39);
    record.major = attribute(75);
    record.minor = attribute(76);
    record.ecc = attribute(32);
  }
  return out;
}

}  // namespace graval
