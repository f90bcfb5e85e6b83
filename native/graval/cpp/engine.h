// What holds the tiles of one ogv1 session and works on them. Everything that is not the same for a CPU and a GPU is in an engine.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>
#include "failure.h"
#include "lanes.h"

namespace graval {

/** Sizes of a challenge (graval.md 6.4). */
struct Params {
  uint32_t n, m, N, R, W, K, G;
  size_t tile() const { return (size_t)m * n; }
  uint64_t rows() const { return (uint64_t)N * m; }
};

/** How a long job is watched and ended: `at` is called between tiles, from the working thread. */
struct Watch {
  std::atomic<bool>* aborted;
  std::function<void(const char* phase, uint64_t done, uint64_t total)> progress;
  void at(const char* phase, uint64_t done, uint64_t total) const {
    if (aborted->load(std::memory_order_relaxed)) throw Failure("ABORTED", "the proof was ended on request");
    progress(phase, done, total);
  }
};

class Engine {
 public:
  virtual ~Engine() = default;
  /** Take the memory and fill all tiles. Throws VRAM_BUSY before anything is taken when it is not free. */
  virtual void fill(const Params& params, Key key, const Watch& watch) = 0;
  /** The m leaf hashes of a tile, 32 bytes each. */
  virtual void leaves(uint32_t t, uint8_t* out) = 0;
  /** Root of a tile. */
  virtual void root(uint32_t t, uint8_t* out) = 0;
  /** The state of each walker after each segment: G of the first walker, then the second. */
  virtual void walk(uint64_t a, uint64_t b, uint64_t* checkpoints, const Watch& watch) = 0;
  virtual void read(uint32_t t, uint32_t i, uint8_t* row) = 0;
};

std::unique_ptr<Engine> makeCpuEngine(unsigned threads, const char* lanesName);
/** `emulated`: the same kernels, compiled for the CPU. */
std::unique_ptr<Engine> makeCudaEngine(int device, bool emulated);

/** One step of a walker: from the state to the place that it reads. */
struct Place {
  uint32_t t, i, offset;
};
inline Place placeOf(uint64_t state, const Params& p, uint64_t* z) {
  *z = mix64(state + 0x9E3779B97F4A7C15ull);
  const uint64_t g = (uint64_t)(((unsigned __int128)*z * p.rows()) >> 64);
  return {(uint32_t)(g / p.m), (uint32_t)(g % p.m), (uint32_t)(32 * (*z % (p.n / 32)))};
}
inline uint64_t rotl(uint64_t x, int by) { return x << by | x >> (64 - by); }
inline uint64_t advance(uint64_t state, const uint8_t* at) {
  uint64_t v[4];
  __builtin_memcpy(v, at, 32);
  return mix64(state ^ v[0] ^ rotl(v[1], 17) ^ rotl(v[2], 31) ^ rotl(v[3], 47));
}
inline uint64_t startOf(uint64_t a, uint64_t b, uint32_t walker) { return mix64(a ^ mix64(b + walker)); }

/** All levels of a tree over `count` leaves (a power of two), leaves first, root last. */
std::vector<uint8_t> treeOf(std::vector<uint8_t> leaves, size_t count);
/** Siblings of a leaf, from the bottom up. */
void appendPath(const std::vector<uint8_t>& tree, size_t count, size_t leaf, std::vector<uint8_t>& out);

}  // namespace graval
