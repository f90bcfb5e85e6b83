#include "emulated.h"
#include <ucontext.h>
#include <cstring>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#define GRAVAL_EMULATED
#define __global__
#define __device__
#define __shared__ static thread_local
#define __launch_bounds__(threads)

namespace emulated {

struct Index {
  uint32_t x, y;
};
static thread_local Index threadIdx, blockIdx, blockDim;

/** All threads of one block. Without fibres (`straight`), each thread runs to its end at once. */
struct Fibres {
  static constexpr size_t kStack = 64 * 1024;
  struct Fibre {
    ucontext_t context;
    bool ended;
  };
  std::vector<Fibre> all;
  std::unique_ptr<char[]> stacks;
  ucontext_t scheduler;
  size_t current = 0;
  const std::function<void()>* body = nullptr;

  static void enter();
  void run(size_t count, const std::function<void()>& work) {
    if (all.size() < count) {
      all.resize(count);
      stacks.reset(new char[count * kStack]);
    }
    body = &work;
    for (size_t i = 0; i < count; i++) {
      getcontext(&all[i].context);
      all[i].context.uc_stack.ss_sp = stacks.get() + i * kStack;
      all[i].context.uc_stack.ss_size = kStack;
      all[i].context.uc_link = &scheduler;
      all[i].ended = false;
      makecontext(&all[i].context, enter, 0);
    }
    for (size_t left = count; left > 0;) {
      for (current = 0; current < count; current++) {
        if (all[current].ended) continue;
        threadIdx.x = (uint32_t)current;
        swapcontext(&scheduler, &all[current].context);
        if (all[current].ended) left--;
      }
    }
  }
  void giveWay() {
    const size_t self = current;
    swapcontext(&all[self].context, &scheduler);
  }
};
static thread_local Fibres fibres;

void Fibres::enter() {
  (*fibres.body)();
  fibres.all[fibres.current].ended = true;
}

static void __syncthreads() { fibres.giveWay(); }
static int __dp4a(int a, int b, int sum) {
  for (int byte = 0; byte < 32; byte += 8) sum += (int)(int8_t)(a >> byte) * (int)(int8_t)(b >> byte);
  return sum;
}
static uint64_t __umul64hi(uint64_t a, uint64_t b) { return (uint64_t)(((unsigned __int128)a * b) >> 64); }

/** m16n8k32 of signed bytes, operands spread over 32 threads as the PTX manual lays them out. */
static void mma(int32_t c[4], const uint32_t a[4], const uint32_t b[2]) {
  static thread_local int8_t left[8][16][32], right[8][8][32];
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, member = lane % 4;
  for (uint32_t i = 0; i < 4; i++) memcpy(&left[warp][group + i % 2 * 8][member * 4 + i / 2 * 16], &a[i], 4);
  for (uint32_t i = 0; i < 2; i++) memcpy(&right[warp][group][member * 4 + i * 16], &b[i], 4);
  __syncthreads();
  for (uint32_t i = 0; i < 4; i++) {
    const int8_t *row = left[warp][group + i / 2 * 8], *column = right[warp][member * 2 + i % 2];
    for (uint32_t k = 0; k < 32; k++) c[i] += row[k] * column[k];
  }
  __syncthreads();
}

#include "kernels.cu"

template <typename... Args, size_t... I>
void call(void (*kernel)(Args...), void** args, std::index_sequence<I...>) {
  kernel(*(std::remove_reference_t<Args>*)args[I]...);
}

template <typename... Args>
void launch(void (*kernel)(Args...), bool straight, uint32_t gridX, uint32_t gridY, uint32_t block, void** args) {
  const std::function<void()> body = [=] { call(kernel, args, std::index_sequence_for<Args...>{}); };
  blockDim = {block, 1};
  for (uint32_t y = 0; y < gridY; y++)
    for (uint32_t x = 0; x < gridX; x++) {
      blockIdx = {x, y};
      if (!straight) {
        fibres.run(block, body);
        continue;
      }
      for (threadIdx = {0, 0}; threadIdx.x < block; threadIdx.x++) body();
    }
}

}  // namespace emulated

namespace graval {

bool emulate(const char* name, uint32_t gridX, uint32_t gridY, uint32_t block, void** args) {
  const auto is = [&](const char* other) { return strcmp(name, other) == 0; };
  if (is("product")) return emulated::launch(emulated::product, false, gridX, gridY, block, args), true;
  if (is("product_mma")) return emulated::launch(emulated::product_mma, false, gridX, gridY, block, args), true;
  if (is("prf")) return emulated::launch(emulated::prf, true, gridX, gridY, block, args), true;
  if (is("finish")) return emulated::launch(emulated::finish, true, gridX, gridY, block, args), true;
  if (is("leaf_hashes")) return emulated::launch(emulated::leaf_hashes, true, gridX, gridY, block, args), true;
  if (is("node_hashes")) return emulated::launch(emulated::node_hashes, true, gridX, gridY, block, args), true;
  if (is("walk")) return emulated::launch(emulated::walk, true, gridX, gridY, block, args), true;
  return false;
}

}  // namespace graval
