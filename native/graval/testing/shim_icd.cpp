// OpenCL driver for tests: pocl, but its CPU devices say that they are GPUs with an id and little memory, as the vendor's library wants
// them (graval.md 9.1). Each change can be left out (GRAVAL_SHIM_WITHOUT=type,uuid,order) to see what the library does then.
// Never for a machine that serves a validator: the name it reports says what it is.
#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <CL/cl_icd.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr cl_device_info kUuid = 0x106A;
cl_icd_dispatch real;
std::vector<cl_device_id> seen;

bool without(const char* what) {
  const char* list = getenv("GRAVAL_SHIM_WITHOUT");
  return list != nullptr && strstr(list, what) != nullptr;
}

cl_ulong memory() {
  const char* mebibytes = getenv("GRAVAL_SHIM_MEMORY_MIB");
  return (mebibytes ? strtoull(mebibytes, nullptr, 10) : 2450) << 20;
}

cl_int answer(const void* value, size_t size, size_t room, void* to, size_t* needed) {
  if (needed != nullptr) *needed = size;
  if (to == nullptr) return CL_SUCCESS;
  if (room < size) return CL_INVALID_VALUE;
  memcpy(to, value, size);
  return CL_SUCCESS;
}

size_t indexOf(cl_device_id device) {
  for (size_t i = 0; i < seen.size(); i++)
    if (seen[i] == device) return i;
  seen.push_back(device);
  return seen.size() - 1;
}

cl_int CL_API_CALL deviceIds(cl_platform_id platform, cl_device_type type, cl_uint room, cl_device_id* devices, cl_uint* count) {
  if (!without("type") && (type & CL_DEVICE_TYPE_GPU)) type = CL_DEVICE_TYPE_ALL;
  const cl_int result = real.clGetDeviceIDs(platform, type, room, devices, count);
  for (cl_uint i = 0; result == CL_SUCCESS && devices != nullptr && i < room; i++) indexOf(devices[i]);
  return result;
}

cl_int CL_API_CALL deviceInfo(cl_device_id device, cl_device_info what, size_t room, void* to, size_t* needed) {
  const cl_device_type gpu = CL_DEVICE_TYPE_GPU;
  const cl_ulong bytes = memory();
  const char name[] = "CPU posing as a GPU for tests";
  unsigned char uuid[16] = {0x7e, 0x57};
  uuid[15] = (unsigned char)indexOf(device);
  switch (what) {
    case CL_DEVICE_TYPE:
      if (without("type")) break;
      return answer(&gpu, sizeof gpu, room, to, needed);
    case CL_DEVICE_GLOBAL_MEM_SIZE:
      return answer(&bytes, sizeof bytes, room, to, needed);
    case CL_DEVICE_NAME:
      return answer(name, sizeof name, room, to, needed);
    case kUuid:
      if (without("uuid")) break;
      return answer(uuid, sizeof uuid, room, to, needed);
    case CL_DEVICE_EXTENSIONS: {
      if (without("uuid")) break;
      size_t size = 0;
      real.clGetDeviceInfo(device, what, 0, nullptr, &size);
      std::string text(size, '\0');
      real.clGetDeviceInfo(device, what, size, text.data(), nullptr);
      text = std::string(text.c_str()) + " cl_khr_device_uuid";
      return answer(text.c_str(), text.size() + 1, room, to, needed);
    }
    default:
      break;
  }
  return real.clGetDeviceInfo(device, what, room, to, needed);
}

cl_command_queue_properties inOrder(cl_command_queue_properties asked) {
  return without("order") ? asked : asked & ~(cl_command_queue_properties)CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
}

cl_command_queue CL_API_CALL queue(cl_context context, cl_device_id device, cl_command_queue_properties asked, cl_int* error) {
  return real.clCreateCommandQueue(context, device, inOrder(asked), error);
}

cl_command_queue CL_API_CALL queueWith(cl_context context, cl_device_id device, const cl_queue_properties* asked, cl_int* error) {
  std::vector<cl_queue_properties> list;
  for (; asked != nullptr && asked[0] != 0; asked += 2) {
    list.push_back(asked[0]);
    list.push_back(asked[0] == CL_QUEUE_PROPERTIES ? inOrder(asked[1]) : asked[1]);
  }
  list.push_back(0);
  return real.clCreateCommandQueueWithProperties(context, device, list.data(), error);
}

/** pocl's objects all point to one table: changing it there reaches everything that is created later. */
bool patch(cl_platform_id platform) {
  cl_icd_dispatch* table = *reinterpret_cast<cl_icd_dispatch**>(platform);
  real = *table;
  const auto page = (size_t)sysconf(_SC_PAGESIZE);
  const auto from = (size_t)table / page * page, to = (size_t)(table + 1);
  if (mprotect((void*)from, to - from, PROT_READ | PROT_WRITE) != 0) return false;
  table->clGetDeviceIDs = deviceIds;
  table->clGetDeviceInfo = deviceInfo;
  table->clCreateCommandQueue = queue;
  table->clCreateCommandQueueWithProperties = queueWith;
  return true;
}

void* pocl() {
  static void* library = dlopen("libpocl.so.2", RTLD_NOW | RTLD_LOCAL);
  return library;
}

}  // namespace

extern "C" {

__attribute__((visibility("default"))) void* clGetExtensionFunctionAddress(const char* name);

__attribute__((visibility("default"))) cl_int clIcdGetPlatformIDsKHR(cl_uint room, cl_platform_id* platforms, cl_uint* count) {
  if (pocl() == nullptr) return CL_INVALID_VALUE;
  const auto find = reinterpret_cast<void* (*)(const char*)>(dlsym(pocl(), "clGetExtensionFunctionAddress"));
  const auto list = reinterpret_cast<cl_int (*)(cl_uint, cl_platform_id*, cl_uint*)>(find("clIcdGetPlatformIDsKHR"));
  const cl_int result = list(room, platforms, count);
  static bool patched = false;
  if (result == CL_SUCCESS && platforms != nullptr && room > 0 && !patched) patched = patch(platforms[0]);
  return result;
}

__attribute__((visibility("default"))) cl_int clGetPlatformInfo(cl_platform_id platform, cl_platform_info what, size_t room, void* to, size_t* needed) {
  return (*reinterpret_cast<cl_icd_dispatch**>(platform))->clGetPlatformInfo(platform, what, room, to, needed);
}

void* clGetExtensionFunctionAddress(const char* name) {
  if (strcmp(name, "clIcdGetPlatformIDsKHR") == 0) return (void*)clIcdGetPlatformIDsKHR;
  if (strcmp(name, "clGetPlatformInfo") == 0) return (void*)clGetPlatformInfo;
  if (pocl() == nullptr) return nullptr;
  return reinterpret_cast<void* (*)(const char*)>(dlsym(pocl(), "clGetExtensionFunctionAddress"))(name);
}

}  // extern "C"
