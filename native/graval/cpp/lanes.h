// The arithmetic of ogv1 (graval.md 6.4) in a form that compiles for several instruction sets: one table of functions for each, chosen
// when the program runs. All sums are exact integers, so every table gives the same bits.
#pragma once
#include <cstddef>
#include <cstdint>

namespace graval {

struct Key {
  uint32_t k0, k1;
};

/** Columns of S that are packed and multiplied together. */
constexpr size_t kPanel = 64;

/** `kPanel` rows of S (columns of the product): words[k / 4][column], then what an unsigned left side adds to each sum. */
struct Panel {
  const uint32_t* words;
  const int32_t* bias;
};

struct Lanes {
  const char* name;
  /** Bytes [offset, offset + size) of PRF(domain, stream); both multiples of 16. */
  void (*prf)(uint8_t* out, size_t offset, size_t size, Key key, uint32_t domain, uint32_t stream);
  /** Pack rows j0 … j0 + 63 of the n×n matrix PRF(domain, stream). `words`: n / 4 * 64; `bias`: 64. */
  void (*pack)(uint32_t* words, int32_t* bias, size_t j0, size_t n, Key key, uint32_t domain, uint32_t stream);
  /** For `rows` rows of y, n bytes each: 64 sums per row, `stride` apart. */
  void (*sums)(const uint8_t* y, size_t rows, size_t n, Panel panel, int32_t* out, size_t stride);
  /** The same, mixed to a byte each. */
  void (*mixed)(const uint8_t* y, size_t rows, size_t n, Panel panel, uint8_t* out, size_t stride);
  /** Leaf hashes of `rows` rows: SHA-256(0 ‖ t ‖ i ‖ row). `places`: tile, row, tile, row … */
  void (*leaves)(const uint8_t* y, size_t rows, size_t n, const uint32_t* places, uint8_t* out);
  /** out = hash of 1 ‖ left ‖ right for each of `count` pairs. */
  void (*nodes)(const uint8_t* pairs, size_t count, uint8_t* out);
  /** SHA-256 of one message. */
  void (*digest)(const uint8_t* message, size_t size, uint8_t* out);
  /** The row y, n bytes, times S = PRF(domain, stream), mixed to a byte each. */
  void (*rowTimes)(const uint8_t* y, size_t n, Key key, uint32_t domain, uint32_t stream, uint8_t* out);
  /** u = Sᵀv for two vectors v of n values below 2^31 - 1, one after the other, modulo that prime. S = PRF(domain, stream). */
  void (*transposed)(const uint32_t* v, size_t n, Key key, uint32_t domain, uint32_t stream, uint32_t* u);
  /** Whether ⟨y, u⟩ = ⟨sums, v⟩ modulo that prime, for every row of n bytes and both vectors. */
  bool (*follows)(const uint8_t* y, const int32_t* sums, size_t rows, size_t n, const uint32_t* u, const uint32_t* v);
  /** Each sum mixed to a byte. */
  void (*mixAll)(const int32_t* sums, size_t count, uint8_t* out);
};

/** The best table for this processor; `name` asks for one of avx512, avx2, plain, and gives nullptr where it cannot run. */
const Lanes* lanes(const char* name = nullptr);
/** From now on the best table is this one; false where it cannot run. For tests, which compare them. */
bool useLanes(const char* name);

extern const Lanes kAvx512, kAvx2, kPlain;

inline uint8_t mixb(uint32_t h) {
  h *= 0x9E3779B1u;
  h ^= h >> 15;
  h *= 0x85EBCA6Bu;
  return h >> 24;
}

inline uint64_t mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

}  // namespace graval
