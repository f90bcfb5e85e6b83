// A card to launch kernels on: NVIDIA's driver library, opened when the program runs, or the kernels compiled for this processor.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace graval {

/** What the advertised record needs (graval.md 2): memory in bytes, clock in kHz, uuid 32 hex digits. */
struct DeviceRecord {
  std::string uuid, name;
  uint64_t memory;
  int processors, clockRate, maxThreads, major, minor, ecc;
};

class Driver {
 public:
  virtual ~Driver() = default;
  virtual size_t freeMemory() = 0;
  /** Memory of the card, given back with the driver. Throws VRAM_BUSY. */
  virtual uint64_t take(size_t bytes) = 0;
  virtual void giveBack(uint64_t address) = 0;
  virtual void write(uint64_t to, const void* from, size_t bytes) = 0;
  virtual void read(void* to, uint64_t from, size_t bytes) = 0;
  /** Kernels run in the order of their launches. */
  virtual void launch(const char* kernel, uint32_t gridX, uint32_t gridY, uint32_t block, void** args) = 0;
  virtual void wait() = 0;
  virtual bool hasMatrixUnits() = 0;
};

/** NO_DRIVER without libcuda.so.1 or without kernels in this build, NO_DEVICE without a card. */
std::unique_ptr<Driver> openCuda(int device);
std::unique_ptr<Driver> openEmulated();
std::vector<DeviceRecord> cudaDevices();
bool hasKernels();

}  // namespace graval
