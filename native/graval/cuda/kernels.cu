// The kernels of ogv1 (graval.md 6.4). Written in the subset of CUDA that emulated.cpp can also compile for a CPU: no warp functions but the
// one matrix instruction, which has a twin there. Layouts are the CPU engine's, so both give the same bits.
#ifndef GRAVAL_EMULATED
#include <cstdint>
#define MMA_AVAILABLE (__CUDA_ARCH__ >= 800)
#endif

// Ends of the ranges that a block of 256 threads works on in one product: 128 rows by 128 columns, 64 bytes of k at a time.
#define SIDE 128
#define DEPTH 64
#define STRIDE 80

struct Shape {
  uint32_t n, m, N, K, G, W, tilesPerPiece;
};

struct Key {
  uint32_t k0, k1;
};

struct alignas(16) Quad {
  uint32_t x[4];
};

__device__ static inline Quad philox(uint64_t block, uint32_t stream, uint32_t domain, Key key) {
  uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32), c2 = stream, c3 = domain;
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(p1 >> 32) ^ c1 ^ key.k0;
    c1 = (uint32_t)p1;
    c2 = (uint32_t)(p0 >> 32) ^ c3 ^ key.k1;
    c3 = (uint32_t)p0;
    key.k0 += 0x9E3779B9u;
    key.k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

__device__ static inline uint32_t mixb(int32_t sum) {
  uint32_t h = (uint32_t)sum * 0x9E3779B1u;
  h ^= h >> 15;
  h *= 0x85EBCA6Bu;
  return h >> 24;
}

__device__ static inline uint64_t mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

__device__ static inline uint64_t rotl(uint64_t x, int by) { return x << by | x >> (64 - by); }

__device__ static inline uint8_t* tileAt(const uint64_t* pieces, const Shape& shape, uint32_t t) {
  return (uint8_t*)pieces[t / shape.tilesPerPiece] + (uint64_t)(t % shape.tilesPerPiece) * shape.m * shape.n;
}

/** `blocks` times 16 bytes of PRF(domain, stream). */
extern "C" __global__ void prf(Quad* out, uint64_t blocks, Key key, uint32_t domain, uint32_t stream) {
  const uint64_t at = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (at < blocks) out[at] = philox(at, stream, domain, key);
}

/** 128 rows of `size` bytes from `first` on, bytes k … k + 63 of each; zero beyond the last row. Two quads for each thread. */
__device__ static inline void fetch(const uint8_t* from, uint32_t first, uint32_t count, uint32_t size, uint32_t k, Quad held[2]) {
  for (int half = 0; half < 2; half++) {
    const uint32_t index = threadIdx.x + half * 256, row = first + index / 4;
    if (row < count) held[half] = *(const Quad*)(from + (uint64_t)row * size + k + index % 4 * 16);
    else held[half] = {{0, 0, 0, 0}};
  }
}

__device__ static inline void put(uint8_t* shared, const Quad held[2]) {
  for (int half = 0; half < 2; half++) {
    const uint32_t index = threadIdx.x + half * 256;
    *(Quad*)(shared + index / 4 * STRIDE + index % 4 * 16) = held[half];
  }
}

/** out = mixb(y · sᵀ): y is m×n, s is n×n, both signed bytes by rows. Any card from sm_61 on. Grid: columns, rows. */
extern "C" __global__ void __launch_bounds__(256) product(const uint8_t* y, const uint8_t* s, uint8_t* out, uint32_t m, uint32_t n) {
  alignas(16) __shared__ uint8_t left[SIDE * STRIDE], right[SIDE * STRIDE];
  const uint32_t row0 = blockIdx.y * SIDE, column0 = blockIdx.x * SIDE, tx = threadIdx.x % 16, ty = threadIdx.x / 16;
  int32_t sum[8][8] = {};
  Quad a[2], b[2];
  fetch(y, row0, m, n, 0, a);
  fetch(s, column0, n, n, 0, b);
  for (uint32_t k = 0; k < n; k += DEPTH) {
    put(left, a);
    put(right, b);
    __syncthreads();
    if (k + DEPTH < n) {
      fetch(y, row0, m, n, k + DEPTH, a);
      fetch(s, column0, n, n, k + DEPTH, b);
    }
    for (int quarter = 0; quarter < DEPTH; quarter += 16) {
      Quad p[8], q[8];
      for (int i = 0; i < 8; i++) p[i] = *(const Quad*)(left + (ty + 16 * i) * STRIDE + quarter);
      for (int j = 0; j < 8; j++) q[j] = *(const Quad*)(right + (tx + 16 * j) * STRIDE + quarter);
      for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++)
          for (int word = 0; word < 4; word++) sum[i][j] = __dp4a((int)p[i].x[word], (int)q[j].x[word], sum[i][j]);
    }
    __syncthreads();
  }
  for (int i = 0; i < 8; i++)
    for (int j = 0; j < 8; j++) {
      const uint32_t row = row0 + ty + 16 * i, column = column0 + tx + 16 * j;
      if (row < m && column < n) out[(uint64_t)row * n + column] = (uint8_t)mixb(sum[i][j]);
    }
}

#ifndef GRAVAL_EMULATED
__device__ static inline void mma(int32_t c[4], const uint32_t a[4], const uint32_t b[2]) {
#if MMA_AVAILABLE
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
#endif

/** The same on the integer matrix units of sm_80 and later: 8 warps, each 64 rows by 32 columns. */
extern "C" __global__ void __launch_bounds__(256) product_mma(const uint8_t* y, const uint8_t* s, uint8_t* out, uint32_t m, uint32_t n) {
  alignas(16) __shared__ uint8_t left[SIDE * STRIDE], right[SIDE * STRIDE];
  const uint32_t row0 = blockIdx.y * SIDE, column0 = blockIdx.x * SIDE, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint32_t warpRow = warp / 4 * 64, warpColumn = warp % 4 * 32, group = lane / 4, member = lane % 4;
  int32_t sum[4][4][4] = {};
  Quad a[2], b[2];
  fetch(y, row0, m, n, 0, a);
  fetch(s, column0, n, n, 0, b);
  for (uint32_t k = 0; k < n; k += DEPTH) {
    put(left, a);
    put(right, b);
    __syncthreads();
    if (k + DEPTH < n) {
      fetch(y, row0, m, n, k + DEPTH, a);
      fetch(s, column0, n, n, k + DEPTH, b);
    }
    for (int half = 0; half < DEPTH; half += 32) {
      uint32_t p[4][4], q[4][2];
      for (int i = 0; i < 4; i++)
        for (int part = 0; part < 4; part++) {
          const uint32_t row = warpRow + i * 16 + group + part % 2 * 8, at = half + member * 4 + part / 2 * 16;
          p[i][part] = *(const uint32_t*)(left + row * STRIDE + at);
        }
      for (int j = 0; j < 4; j++)
        for (int part = 0; part < 2; part++)
          q[j][part] = *(const uint32_t*)(right + (warpColumn + j * 8 + group) * STRIDE + half + member * 4 + part * 16);
      for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) mma(sum[i][j], p[i], q[j]);
    }
    __syncthreads();
  }
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++)
      for (int part = 0; part < 4; part++) {
        const uint32_t row = row0 + warpRow + i * 16 + group + part / 2 * 8;
        const uint32_t column = column0 + warpColumn + j * 8 + member * 2 + part % 2;
        if (row < m && column < n) out[(uint64_t)row * n + column] = (uint8_t)mixb(sum[i][j][part]);
      }
}

/** Tile t = y ⊕ the rows that the tile before names. One thread for 16 bytes. */
extern "C" __global__ void finish(const uint64_t* pieces, Shape shape, uint32_t t, const Quad* y) {
  const uint64_t at = (uint64_t)blockIdx.x * blockDim.x + threadIdx.x, quads = shape.n / 16;
  if (at >= shape.m * quads) return;
  const uint64_t i = at / quads, j = at % quads;
  const uint32_t* named = (const uint32_t*)(tileAt(pieces, shape, t - 1) + i * shape.n);
  const Quad* source = (const Quad*)(tileAt(pieces, shape, named[0] % t) + (uint64_t)(named[1] % shape.m) * shape.n) + j;
  Quad value = y[at];
  for (int word = 0; word < 4; word++) value.x[word] ^= source->x[word];
  ((Quad*)tileAt(pieces, shape, t))[at] = value;
}

__device__ static const uint32_t kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

__device__ static inline uint32_t rotr(uint32_t x, int by) { return x >> by | x << (32 - by); }

__device__ static void compress(uint32_t state[8], uint32_t w[16]) {
  uint32_t s[8];
  for (int i = 0; i < 8; i++) s[i] = state[i];
  for (int round = 0; round < 64; round++) {
    if (round >= 16) {
      const uint32_t a = w[(round + 1) & 15], b = w[(round + 14) & 15];
      w[round & 15] += w[(round + 9) & 15] + (rotr(a, 7) ^ rotr(a, 18) ^ a >> 3) + (rotr(b, 17) ^ rotr(b, 19) ^ b >> 10);
    }
    const uint32_t t1 = s[7] + (rotr(s[4], 6) ^ rotr(s[4], 11) ^ rotr(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + kRound[round] + w[round & 15];
    const uint32_t t2 = (rotr(s[0], 2) ^ rotr(s[0], 13) ^ rotr(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    for (int i = 7; i > 0; i--) s[i] = s[i - 1];
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

__device__ static inline uint32_t bigEndian(uint32_t x) { return x << 24 | (x & 0xFF00) << 8 | (x >> 8 & 0xFF00) | x >> 24; }

/** SHA-256 of head (headSize bytes, at most 9) and then `size` bytes of body, a multiple of 4 and aligned to 4. */
__device__ static void digest(const uint8_t head[12], uint32_t headSize, const uint8_t* body, uint32_t size, uint32_t* out) {
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const uint32_t total = headSize + size, blocks = (total + 9 + 63) / 64;
  for (uint32_t block = 0; block < blocks; block++) {
    uint32_t w[16];
    for (uint32_t i = 0; i < 16; i++) {
      const uint32_t at = block * 64 + i * 4;
      uint32_t value = 0;
      if (at >= headSize + 3 && at + 4 <= total) {
        // headSize is 1 mod 4 for every prefix in use, so this is the aligned word before and the one after.
        const uint32_t before = *(const uint32_t*)(body + (at - headSize - 3)), after = *(const uint32_t*)(body + (at - headSize + 1));
        value = bigEndian(before >> 24 | after << 8);
      } else {
        for (uint32_t byte = 0; byte < 4; byte++) {
          const uint32_t position = at + byte;
          uint32_t one = 0;
          if (position < headSize) one = head[position];
          else if (position < total) one = body[position - headSize];
          else if (position == total) one = 0x80;
          else if (position >= blocks * 64 - 8) one = (uint32_t)((uint64_t)total * 8 >> (8 * (blocks * 64 - 1 - position))) & 0xFF;
          value = value << 8 | one;
        }
      }
      w[i] = value;
    }
    compress(state, w);
  }
  for (int i = 0; i < 8; i++) out[i] = bigEndian(state[i]);
}

/** Leaf hashes of a tile: SHA-256(0 ‖ t ‖ i ‖ row), one thread for each row. */
extern "C" __global__ void leaf_hashes(const uint64_t* pieces, Shape shape, uint32_t t, uint32_t* out) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= shape.m) return;
  const uint8_t head[12] = {0, (uint8_t)t, (uint8_t)(t >> 8), (uint8_t)(t >> 16), (uint8_t)(t >> 24),
                            (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), (uint8_t)(i >> 24)};
  digest(head, 9, tileAt(pieces, shape, t) + (uint64_t)i * shape.n, shape.n, out + (uint64_t)i * 8);
}

/** One level up: SHA-256(1 ‖ left ‖ right) for each pair. */
extern "C" __global__ void node_hashes(const uint8_t* pairs, uint32_t count, uint32_t* out) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const uint8_t head[12] = {1};
  digest(head, 1, pairs + (uint64_t)i * 64, 64, out + (uint64_t)i * 8);
}

/** K steps of every walker: segment `g` of its walk. */
extern "C" __global__ void walk(const uint64_t* pieces, Shape shape, uint64_t a, uint64_t b, uint32_t g, uint64_t* checkpoints) {
  const uint32_t w = blockIdx.x * blockDim.x + threadIdx.x;
  if (w >= shape.W) return;
  uint64_t state = g == 0 ? mix64(a ^ mix64(b + w)) : checkpoints[(uint64_t)w * shape.G + g - 1];
  const uint64_t rows = (uint64_t)shape.N * shape.m;
  for (uint32_t k = 0; k < shape.K; k++) {
    const uint64_t z = mix64(state + 0x9E3779B97F4A7C15ull), row = __umul64hi(z, rows);
    const uint8_t* at = tileAt(pieces, shape, (uint32_t)(row / shape.m)) + row % shape.m * shape.n + 32 * (z % (shape.n / 32));
    const uint64_t* v = (const uint64_t*)at;
    state = mix64(state ^ v[0] ^ rotl(v[1], 17) ^ rotl(v[2], 31) ^ rotl(v[3], 47));
  }
  checkpoints[(uint64_t)w * shape.G + g] = state;
}
