// The one function of CLBlast that the vendor's library calls, for pocl: the same sums in the same order (one fused multiply-add after
// another, k rising), so the same bits, several times faster than CLBlast's kernel on a CPU. Build with -march=native.
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <immintrin.h>
#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr size_t kRows = 8, kWide = 24, kDepth = 256;

struct Matrix {
  const double* data;
  size_t stride;
  bool turned;
  double at(size_t row, size_t column) const { return turned ? data[column * stride + row] : data[row * stride + column]; }
};

/** kRows × kWide sums over `depth` values of k, added to what c holds. Both sides are packed and padded with zeros. */
void block(const double* a, const double* b, size_t depth, double* c, size_t stride) {
#ifdef __AVX512F__
  __m512d sum[kRows][3];
#pragma GCC unroll 8
  for (size_t i = 0; i < kRows; i++)
#pragma GCC unroll 3
    for (size_t j = 0; j < 3; j++) sum[i][j] = _mm512_loadu_pd(c + i * stride + j * 8);
  for (size_t k = 0; k < depth; k++) {
    const __m512d r0 = _mm512_loadu_pd(b + k * kWide), r1 = _mm512_loadu_pd(b + k * kWide + 8), r2 = _mm512_loadu_pd(b + k * kWide + 16);
#pragma GCC unroll 8
    for (size_t i = 0; i < kRows; i++) {
      const __m512d left = _mm512_set1_pd(a[k * kRows + i]);
      sum[i][0] = _mm512_fmadd_pd(left, r0, sum[i][0]);
      sum[i][1] = _mm512_fmadd_pd(left, r1, sum[i][1]);
      sum[i][2] = _mm512_fmadd_pd(left, r2, sum[i][2]);
    }
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < kRows; i++)
#pragma GCC unroll 3
    for (size_t j = 0; j < 3; j++) _mm512_storeu_pd(c + i * stride + j * 8, sum[i][j]);
#else
  for (size_t k = 0; k < depth; k++)
    for (size_t i = 0; i < kRows; i++)
      for (size_t j = 0; j < kWide; j++) c[i * stride + j] = __builtin_fma(a[k * kRows + i], b[k * kWide + j], c[i * stride + j]);
#endif
}

void rowsOf(double alpha, Matrix a, Matrix b, double* c, size_t stride, size_t from, size_t to, size_t n, size_t k) {
  constexpr size_t kColumns = 192;
  std::vector<double> left(kRows * kDepth), right(kDepth * kColumns);
  alignas(64) double tile[kRows * kWide] = {};
  for (size_t column0 = 0; column0 < n; column0 += kColumns) {
    for (size_t k0 = 0; k0 < k; k0 += kDepth) {
      const size_t depth = std::min(kDepth, k - k0), columns = std::min(kColumns, n - column0);
      std::fill(right.begin(), right.end(), 0);
      for (size_t kk = 0; kk < depth; kk++)
        for (size_t j = 0; j < columns; j++) right[j / kWide * kWide * kDepth + kk * kWide + j % kWide] = b.at(k0 + kk, column0 + j);
      for (size_t row = from; row < to; row += kRows) {
        const size_t rows = std::min(kRows, to - row);
        for (size_t i = 0; i < kRows; i++)
          for (size_t kk = 0; kk < depth; kk++) left[kk * kRows + i] = i < rows ? a.at(row + i, k0 + kk) : 0;
        for (size_t j = 0; j < columns; j += kWide) {
          const size_t wide = std::min(kWide, columns - j);
          double* to = c + row * stride + column0 + j;
          const double* packed = right.data() + j / kWide * kWide * kDepth;
          if (k0 == 0)
            for (size_t i = 0; i < rows; i++) memset(to + i * stride, 0, wide * 8);
          if (rows == kRows && wide == kWide) {
            block(left.data(), packed, depth, to, stride);
          } else {
            for (size_t i = 0; i < rows; i++) memcpy(tile + i * kWide, to + i * stride, wide * 8);
            block(left.data(), packed, depth, tile, kWide);
            for (size_t i = 0; i < rows; i++) memcpy(to + i * stride, tile + i * kWide, wide * 8);
          }
          if (alpha == 1 || k0 + depth < k) continue;
          for (size_t i = 0; i < rows; i++)
            for (size_t jj = 0; jj < wide; jj++) to[i * stride + jj] *= alpha;
        }
      }
    }
  }
}

/** One product; the pointers are filled in by the driver when its turn comes. */
struct Work {
  double *a, *b, *c;
  size_t offsetA, strideA, offsetB, strideB, offsetC, strideC, m, n, k;
  bool turnA, turnB;
  double alpha;
};

void run(void* argument) {
  const Work& w = *(const Work*)argument;
  const Matrix left = {w.a + w.offsetA, w.strideA, w.turnA}, right = {w.b + w.offsetB, w.strideB, w.turnB};
  const size_t threads = std::max(1u, std::thread::hardware_concurrency()), each = (w.m / threads + kRows) / kRows * kRows;
  std::vector<std::thread> workers;
  for (size_t from = 0; from < w.m; from += each)
    workers.emplace_back(rowsOf, w.alpha, left, right, w.c + w.offsetC, w.strideC, from, std::min(w.m, from + each), w.n, w.k);
  for (auto& worker : workers) worker.join();
}

}  // namespace

/** Layouts 101 by rows, 102 by columns; transpose 111 no, 112 yes. A beta other than 0 is refused. Like CLBlast it waits for nothing: what
 *  has to be done before is left to the order of the queue. */
extern "C" int CLBlastDgemm(int layout, int turnA, int turnB, size_t m, size_t n, size_t k, double alpha, cl_mem a, size_t offsetA,
                            size_t strideA, cl_mem b, size_t offsetB, size_t strideB, double beta, cl_mem c, size_t offsetC, size_t strideC,
                            cl_command_queue* queue, cl_event* event) {
  if (beta != 0) return -1;
  Work work = {nullptr, nullptr, nullptr, offsetA, strideA, offsetB, strideB, offsetC, strideC, m, n, k, turnA == 112, turnB == 112, alpha};
  if (layout == 102) {
    // By columns, C is by rows the product of B and A.
    std::swap(a, b);
    std::swap(work.offsetA, work.offsetB);
    std::swap(work.strideA, work.strideB);
    std::swap(work.turnA, work.turnB);
    std::swap(work.m, work.n);
  }
  const cl_mem buffers[] = {a, b, c};
  const void* places[] = {&work.a, &work.b, &work.c};
  return clEnqueueNativeKernel(*queue, run, &work, sizeof work, 3, buffers, places, 0, nullptr, event);
}
