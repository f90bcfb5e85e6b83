// Layouts and prototypes of the vendor's libraries, version 0.2.6 (graval.md 1): x86-64, System V, 8-byte size_t.
#pragma once
#include <cstddef>
#include <cstdint>

namespace graval::vendor {

struct WorkProduct {
  float* final_matrix;
  /** total_iterations * num_matrices pointers to 32 bytes each. */
  uint8_t** intermediate_hashes;
  size_t num_matrices;
  size_t total_iterations;
};
static_assert(sizeof(WorkProduct) == 32 && alignof(WorkProduct) == 8);
static_assert(offsetof(WorkProduct, final_matrix) == 0);
static_assert(offsetof(WorkProduct, intermediate_hashes) == 8);
static_assert(offsetof(WorkProduct, num_matrices) == 16);
static_assert(offsetof(WorkProduct, total_iterations) == 24);

struct DeviceInfo {
  /** May fill all 64 bytes, without a NUL. */
  char name[64];
  char uuid[33];
  size_t memory;
  size_t processors;
  double clock_rate;
  unsigned max_threads_per_processor;
  WorkProduct* work_product;
  void *context, *queue, *program, *tanh_kernel, *downsample_kernel;
  bool opencl_initialized;
};
static_assert(sizeof(DeviceInfo) == 192 && alignof(DeviceInfo) == 8);
static_assert(offsetof(DeviceInfo, name) == 0);
static_assert(offsetof(DeviceInfo, uuid) == 64);
static_assert(offsetof(DeviceInfo, memory) == 104);
static_assert(offsetof(DeviceInfo, processors) == 112);
static_assert(offsetof(DeviceInfo, clock_rate) == 120);
static_assert(offsetof(DeviceInfo, max_threads_per_processor) == 128);
static_assert(offsetof(DeviceInfo, work_product) == 136);
static_assert(offsetof(DeviceInfo, context) == 144);
static_assert(offsetof(DeviceInfo, queue) == 152);
static_assert(offsetof(DeviceInfo, program) == 160);
static_assert(offsetof(DeviceInfo, tanh_kernel) == 168);
static_assert(offsetof(DeviceInfo, downsample_kernel) == 176);
static_assert(offsetof(DeviceInfo, opencl_initialized) == 184);

struct Ciphertext {
  size_t length;
  unsigned long seed;
  uint8_t* ciphertext;
  uint8_t initialization_vector[16];
};
static_assert(sizeof(Ciphertext) == 40 && alignof(Ciphertext) == 8 && sizeof(unsigned long) == 8);
static_assert(offsetof(Ciphertext, length) == 0);
static_assert(offsetof(Ciphertext, seed) == 8);
static_assert(offsetof(Ciphertext, ciphertext) == 16);
static_assert(offsetof(Ciphertext, initialization_vector) == 24);

constexpr size_t kErrorSize = 1024, kHashSize = 32, kAnswerSize = 64;

struct Miner {
  unsigned (*initialize_node)();
  DeviceInfo* (*gather_device_info)(unsigned index, char* error);
  unsigned (*generate_challenge_matrices)(unsigned long seed, unsigned long iterations);
  char* (*miner_decrypt)(Ciphertext*, unsigned index);
  char* (*miner_device_info_challenge)(const char* challenge);
  char* (*miner_filesystem_challenge)(const char* path, size_t offset, size_t length);
};

struct Validator {
  unsigned long (*initialize_node)();
  Ciphertext* (*validator_encrypt)(DeviceInfo*, const char* text, size_t iterations, unsigned long seed);
  bool (*validator_check_proof)(DeviceInfo*, unsigned long seed, size_t iteration, WorkProduct*, size_t index);
  char* (*generate_device_info_challenge)(int count);
  bool (*verify_device_info_challenge)(const char* challenge, const char* answer, DeviceInfo** list, unsigned count);
};

}  // namespace graval::vendor
