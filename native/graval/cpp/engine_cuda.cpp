#include <cstring>
#include <map>
#include <mutex>
#include "driver.h"
#include "engine.h"

namespace graval {
namespace {

/** As in kernels.cu. */
struct Shape {
  uint32_t n, m, N, K, G, W, tilesPerPiece;
};

constexpr uint32_t kBlock = 256, kSide = 128;
/** No allocation is larger, so that fragmented memory does. */
constexpr size_t kPiece = 1ull << 30;
/** In place of the number of a card: the source compiled for the CPU. */
constexpr int kEmulated = -1;

uint32_t blocksFor(uint64_t threads) { return (uint32_t)((threads + kBlock - 1) / kBlock); }

class CudaEngine : public Engine {
 public:
  CudaEngine(std::unique_ptr<Driver> driver, int device) : driver_(std::move(driver)), device_(device) {}

  void fill(const Params& params, Key key, const Watch& watch) override {
    p_ = params;
    const size_t tile = p_.tile(), square = (size_t)p_.n * p_.n;
    shape_ = {p_.n, p_.m, p_.N, p_.K, p_.G, p_.W, (uint32_t)std::min<uint64_t>(std::max<uint64_t>(1, kPiece / tile), p_.N)};
    const size_t count = (p_.N + shape_.tilesPerPiece - 1) / shape_.tilesPerPiece;
    const size_t hashes = (size_t)p_.m * 64, states = (size_t)p_.W * p_.G * 8;
    const size_t need = tile * p_.N + square + tile * (p_.R > 1 ? 2 : 1) + hashes + states + count * 8;
    watch.at("alloc", 0, need);
    if (need > driver_->freeMemory()) throw Failure("VRAM_BUSY", "the tiles need more of the GPU's memory than is free: another program holds it");
    for (size_t piece = 0; piece < count; piece++) {
      const size_t tiles = std::min<size_t>(shape_.tilesPerPiece, p_.N - piece * shape_.tilesPerPiece);
      addresses_.push_back(driver_->take(tiles * tile));
    }
    pieces_ = driver_->take(count * 8);
    driver_->write(pieces_, addresses_.data(), count * 8);
    hashes_ = driver_->take(hashes);
    checkpoints_ = driver_->take(states);
    const uint64_t s = driver_->take(square), first = driver_->take(tile), second = p_.R > 1 ? driver_->take(tile) : 0;
    const char* product = driver_->hasMatrixUnits() && matrixUnitsAreGood(key) ? "product_mma" : "product";

    prf(at(0), tile, key, 1, 0);
    for (uint32_t t = 1; t < p_.N; t++) {
      uint64_t y = at(t - 1);
      for (uint32_t r = 0; r < p_.R; r++) {
        prf(s, square, key, 2 | r << 8, t);
        uint64_t next = r & 1 ? second : first;
        multiply(product, y, s, next, p_.m, p_.n);
        y = next;
      }
      void* args[] = {&pieces_, &shape_, &t, &y};
      driver_->launch("finish", blocksFor(tile / 16), 1, kBlock, args);
      // Launches are queued; waiting for some at a time keeps the queue short and a request to end quick.
      if (t % 8 == 0 || t + 1 == p_.N) {
        driver_->wait();
        watch.at("fill", t + 1, p_.N);
      }
    }
    for (const uint64_t scratch : {s, first, second})
      if (scratch != 0) driver_->giveBack(scratch);
  }

  void leaves(uint32_t t, uint8_t* out) override {
    hashLeaves(t);
    driver_->read(out, hashes_, (size_t)p_.m * 32);
  }

  void root(uint32_t t, uint8_t* out) override {
    hashLeaves(t);
    uint64_t from = hashes_, to = hashes_ + (uint64_t)p_.m * 32;
    for (uint32_t width = p_.m / 2; width > 0; width /= 2) {
      void* args[] = {&from, &width, &to};
      driver_->launch("node_hashes", blocksFor(width), 1, kBlock, args);
      from = to;
      to += (uint64_t)width * 32;
    }
    driver_->read(out, from, 32);
  }

  void walk(uint64_t a, uint64_t b, uint64_t* checkpoints, const Watch& watch) override {
    for (uint32_t g = 0; g < p_.G; g++) {
      watch.at("walk", g, p_.G);
      void* args[] = {&pieces_, &shape_, &a, &b, &g, &checkpoints_};
      driver_->launch("walk", blocksFor(p_.W), 1, kBlock, args);
      driver_->wait();
    }
    driver_->read(checkpoints, checkpoints_, (size_t)p_.W * p_.G * 8);
    watch.at("walk", p_.G, p_.G);
  }

  void read(uint32_t t, uint32_t i, uint8_t* row) override { driver_->read(row, at(t) + (uint64_t)i * p_.n, p_.n); }

 private:
  uint64_t at(uint32_t t) const { return addresses_[t / shape_.tilesPerPiece] + (uint64_t)(t % shape_.tilesPerPiece) * p_.tile(); }

  void prf(uint64_t to, size_t bytes, Key key, uint32_t domain, uint32_t stream) {
    uint64_t blocks = bytes / 16;
    void* args[] = {&to, &blocks, &key, &domain, &stream};
    driver_->launch("prf", blocksFor(blocks), 1, kBlock, args);
  }

  void multiply(const char* kernel, uint64_t y, uint64_t s, uint64_t out, uint32_t m, uint32_t n) {
    void* args[] = {&y, &s, &out, &m, &n};
    driver_->launch(kernel, (n + kSide - 1) / kSide, (m + kSide - 1) / kSide, kBlock, args);
  }

  void hashLeaves(uint32_t t) {
    void* args[] = {&pieces_, &shape_, &t, &hashes_};
    driver_->launch("leaf_hashes", blocksFor(p_.m), 1, kBlock, args);
  }

  /** Asked once for each card in the life of the process. */
  bool matrixUnitsAreGood(Key key) {
    static std::mutex mutex;
    static std::map<int, bool> known;
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = known.find(device_);
    return found != known.end() ? found->second : known[device_] = matrixUnitsAgree(key);
  }

  /** The fast product is used only after it gave the plain one's bytes on this very card. */
  bool matrixUnitsAgree(Key key) {
    constexpr uint32_t m = 192, n = 256;
    const uint64_t y = driver_->take(m * n), s = driver_->take(n * n), out = driver_->take(m * n);
    prf(y, m * n, key, 3, 0);
    prf(s, n * n, key, 3, 1);
    std::vector<uint8_t> plain(m * n), fast(m * n);
    multiply("product", y, s, out, m, n);
    driver_->read(plain.data(), out, plain.size());
    multiply("product_mma", y, s, out, m, n);
    driver_->read(fast.data(), out, fast.size());
    for (const uint64_t address : {y, s, out}) driver_->giveBack(address);
    return plain == fast;
  }

  std::unique_ptr<Driver> driver_;
  int device_;
  Params p_{};
  Shape shape_{};
  std::vector<uint64_t> addresses_;
  uint64_t pieces_ = 0, hashes_ = 0, checkpoints_ = 0;
};

}  // namespace

std::unique_ptr<Engine> makeCudaEngine(int device, bool emulated) {
  return std::make_unique<CudaEngine>(emulated ? openEmulated() : openCuda(device), emulated ? kEmulated : device);
}

}  // namespace graval
