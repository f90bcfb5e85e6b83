#include <sys/mman.h>
#include <cstdio>
#include <cstring>
#include "engine.h"
#include "pool.h"

namespace graval {
namespace {

/** Anonymous memory, given back when the owner goes. */
class Memory {
 public:
  explicit Memory(size_t size) : size_(size) {
    void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw Failure("VRAM_BUSY", "the operating system gives no memory for the tiles");
    madvise(at, size, MADV_HUGEPAGE);
    data_ = (uint8_t*)at;
  }
  ~Memory() { munmap(data_, size_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  uint8_t* at(size_t offset) { return data_ + offset; }

 private:
  size_t size_;
  uint8_t* data_;
};

size_t freeMemory() {
  FILE* file = fopen("/proc/meminfo", "r");
  if (file == nullptr) return SIZE_MAX;
  char line[256];
  unsigned long long kilobytes = 0;
  while (fgets(line, sizeof line, file) != nullptr)
    if (sscanf(line, "MemAvailable: %llu kB", &kilobytes) == 1) break;
  fclose(file);
  return kilobytes > 0 ? (size_t)kilobytes * 1024 : SIZE_MAX;
}

class CpuEngine : public Engine {
 public:
  CpuEngine(unsigned threads, const Lanes* table) : pool_(threads), lanes_(table) {}

  void fill(const Params& params, Key key, const Watch& watch) override {
    p_ = params;
    const size_t tile = p_.tile(), packed = (size_t)p_.n * p_.n;
    const size_t need = tile * p_.N + packed + (p_.R > 1 ? 2 * tile : tile);
    watch.at("alloc", 0, need);
    if (need > freeMemory()) throw Failure("VRAM_BUSY", "the tiles need more memory than is free");
    tiles_ = std::make_unique<Memory>(tile * p_.N);
    Memory words(packed), scratch(p_.R > 1 ? 2 * tile : tile);
    std::vector<int32_t> bias(p_.n);
    inPieces(tile, 1 << 20, [&](size_t from, size_t size) { lanes_->prf(tiles_->at(from), from, size, key, 1, 0); });
    watch.at("fill", 1, p_.N);
    for (uint32_t t = 1; t < p_.N; t++) {
      const uint8_t* before = tileAt(t - 1);
      const uint8_t* y = before;
      for (uint32_t r = 0; r < p_.R; r++) {
        pool_.each(p_.n / kPanel, [&](size_t panel) {
          lanes_->pack(panelWords(words, panel), bias.data() + panel * kPanel, panel * kPanel, p_.n, key, 2 | r << 8, t);
        });
        uint8_t* next = scratch.at(p_.R > 1 ? (r & 1) * tile : 0);
        multiply(y, words, bias, next);
        y = next;
      }
      finish(t, before, y);
      watch.at("fill", t + 1, p_.N);
    }
  }

  void leaves(uint32_t t, uint8_t* out) override {
    inRows(16, [&](size_t row, size_t rows) {
      uint32_t places[32];
      for (uint32_t i = 0; i < rows; i++) places[2 * i] = t, places[2 * i + 1] = (uint32_t)row + i;
      lanes_->leaves(tileAt(t) + row * p_.n, rows, p_.n, places, out + row * 32);
    });
  }

  void root(uint32_t t, uint8_t* out) override {
    std::vector<uint8_t> leafHashes((size_t)p_.m * 32);
    leaves(t, leafHashes.data());
    const auto tree = treeOf(std::move(leafHashes), p_.m);
    memcpy(out, tree.data() + tree.size() - 32, 32);
  }

  void walk(uint64_t a, uint64_t b, uint64_t* checkpoints, const Watch& watch) override {
    // Some walkers at a time, so that the memory is asked for many rows at once.
    constexpr uint32_t together = 16;
    const uint64_t groups = (p_.W + together - 1) / together, step = 256;
    for (uint64_t first = 0; first < groups; first += step) {
      watch.at("walk", first * together, p_.W);
      pool_.each(std::min(step, groups - first), [&](size_t group) {
        const uint32_t from = (uint32_t)(first + group) * together, count = std::min(together, p_.W - from);
        uint64_t state[together];
        for (uint32_t w = 0; w < count; w++) state[w] = startOf(a, b, from + w);
        for (uint32_t segment = 0; segment < p_.G; segment++) {
          for (uint32_t k = 0; k < p_.K; k++)
            for (uint32_t w = 0; w < count; w++) {
              uint64_t z;
              const Place place = placeOf(state[w], p_, &z);
              state[w] = advance(state[w], tileAt(place.t) + (size_t)place.i * p_.n + place.offset);
            }
          for (uint32_t w = 0; w < count; w++) checkpoints[(size_t)(from + w) * p_.G + segment] = state[w];
        }
      });
    }
    watch.at("walk", p_.W, p_.W);
  }

  void read(uint32_t t, uint32_t i, uint8_t* row) override { memcpy(row, tileAt(t) + (size_t)i * p_.n, p_.n); }

 private:
  uint8_t* tileAt(uint32_t t) { return tiles_->at(t * p_.tile()); }
  uint32_t* panelWords(Memory& words, size_t panel) { return (uint32_t*)words.at(panel * kPanel * p_.n); }

  void inPieces(size_t size, size_t piece, const std::function<void(size_t, size_t)>& task) {
    pool_.each((size + piece - 1) / piece, [&](size_t i) { task(i * piece, std::min(piece, size - i * piece)); });
  }
  void inRows(size_t rows, const std::function<void(size_t, size_t)>& task) { inPieces(p_.m, rows, task); }

  void multiply(const uint8_t* y, Memory& words, const std::vector<int32_t>& bias, uint8_t* out) {
    // A panel stays in the second-level cache while all rows of a piece pass it.
    inRows(std::max<size_t>(96, p_.m / (8 * pool_.threads()) / 96 * 96), [&](size_t row, size_t rows) {
      for (size_t panel = 0; panel < p_.n / kPanel; panel++) {
        const Panel packed = {panelWords(words, panel), bias.data() + panel * kPanel};
        lanes_->mixed(y + row * p_.n, rows, p_.n, packed, out + row * p_.n + panel * kPanel, p_.n);
      }
    });
  }

  void finish(uint32_t t, const uint8_t* before, const uint8_t* y) {
    uint8_t* to = tileAt(t);
    inRows(256, [&](size_t row, size_t rows) {
      for (size_t i = row; i < row + rows; i++) {
        uint32_t at[2];
        memcpy(at, before + i * p_.n, 8);
        const uint8_t* source = tileAt(at[0] % t) + (size_t)(at[1] % p_.m) * p_.n;
        for (size_t j = 0; j < p_.n; j++) to[i * p_.n + j] = y[i * p_.n + j] ^ source[j];
      }
    });
  }

  Pool pool_;
  const Lanes* lanes_;
  Params p_{};
  std::unique_ptr<Memory> tiles_;
};

}  // namespace

std::unique_ptr<Engine> makeCpuEngine(unsigned threads, const char* name) {
  const Lanes* table = lanes(name);
  if (table == nullptr) throw Failure("NO_DEVICE", "this processor does not have the instructions that were asked for");
  return std::make_unique<CpuEngine>(threads, table);
}

}  // namespace graval
