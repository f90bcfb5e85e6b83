// The work of refc1 (graval.md 6.3): one chain of products for each matrix, hashed after every product.
#include "refc1.h"
#include <cstdlib>
#include <cstring>
#include <memory>
#include "failure.h"
#include "lanes.h"
#include "pool.h"

namespace graval {
namespace {

struct Freed {
  void operator()(void* memory) const { free(memory); }
};

/** For the widest loads of any table. */
template <typename T>
std::unique_ptr<T[], Freed> aligned(size_t count) {
  void* memory = aligned_alloc(64, (count * sizeof(T) + 63) / 64 * 64);
  if (memory == nullptr) throw std::bad_alloc();
  return std::unique_ptr<T[], Freed>(static_cast<T*>(memory));
}

struct Scratch {
  explicit Scratch(size_t n) : y(aligned<uint8_t>(n * n)), next(aligned<uint8_t>(n * n)), words(aligned<uint32_t>(n * n / 4)), bias(aligned<int32_t>(n)), message(9 + n * n) {}
  std::unique_ptr<uint8_t[], Freed> y, next;
  std::unique_ptr<uint32_t[], Freed> words;
  std::unique_ptr<int32_t[], Freed> bias;
  std::vector<uint8_t> message;
};

void chain(const Lanes& table, Key key, uint32_t index, const Refc1Sizes& sizes, Scratch& s, uint8_t* out) {
  const size_t n = sizes.n;
  table.prf(s.y.get(), 0, n * n, key, 0x10, index);
  for (size_t j = 0; j < n; j += kPanel) table.pack(s.words.get() + n / 4 * j, s.bias.get() + j, j, n, key, 0x11, index);
  for (uint32_t it = 0; it < sizes.iterations; it++) {
    for (size_t j = 0; j < n; j += kPanel)
      table.mixed(s.y.get(), n, n, {s.words.get() + n / 4 * j, s.bias.get() + j}, s.next.get() + j, n);
    std::swap(s.y, s.next);
    s.message[0] = 0x10;
    memcpy(&s.message[1], &it, 4);
    memcpy(&s.message[5], &index, 4);
    memcpy(&s.message[9], s.y.get(), n * n);
    table.digest(s.message.data(), s.message.size(), out + 32 * ((size_t)it * sizes.matrices + index));
  }
}

/** refc1Hashes(k0, k1, n, matrices, iterations): the hashes, iteration by iteration. Blocks. */
Napi::Value hashes(const Napi::CallbackInfo& info) {
  const auto word = [&](size_t at) { return info[at].As<Napi::Number>().Uint32Value(); };
  const Refc1Sizes sizes = {word(2), word(3), word(4)};
  // Small numbers: the work is done on the spot, and nobody can end it but with the process.
  if (sizes.n < kPanel || sizes.n > 4096 || sizes.n % kPanel != 0 || sizes.matrices < 1 || sizes.matrices > 4096 || sizes.iterations < 1 || sizes.iterations > 10) {
    Napi::Error error = Napi::Error::New(info.Env(), "refc1 works on 1 to 4096 matrices of 64 to 4096 rows, a multiple of 64, in 1 to 10 iterations");
    error.Set("code", Napi::String::New(info.Env(), "BAD_INPUT"));
    throw error;
  }
  const auto out = Napi::Buffer<uint8_t>::New(info.Env(), 32 * (size_t)sizes.matrices * sizes.iterations);
  refc1Hashes({word(0), word(1)}, sizes, out.Data());
  return out;
}

}  // namespace

void refc1Hashes(Key key, const Refc1Sizes& sizes, uint8_t* out) {
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  Pool pool(threads);
  // A share of the matrices for each thread, so that each needs its memory once. What throws does so before the work begins.
  std::vector<std::unique_ptr<Scratch>> scratch;
  for (unsigned i = 0; i < threads; i++) scratch.push_back(std::make_unique<Scratch>(sizes.n));
  pool.each(threads, [&](size_t share) {
    for (uint32_t index = (uint32_t)share; index < sizes.matrices; index += threads) chain(*lanes(), key, index, sizes, *scratch[share], out);
  });
}

void defineRefc1(Napi::Env env, Napi::Object exports) { exports.Set("refc1Hashes", Napi::Function::New(env, hashes)); }

}  // namespace graval
