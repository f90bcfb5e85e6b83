// One ogv1 session on an engine: roots, rows with their paths, walks. No key and no seed is here, only the key words that they give.
#pragma once
#include <memory>
#include <vector>
#include "engine.h"

namespace graval {

class Session {
 public:
  Session(std::unique_ptr<Engine> engine, const Params& params, Key key)
      : engine_(std::move(engine)), p_(params), key_(key) {}

  std::vector<uint8_t> fill(const Watch& watch);
  std::vector<uint8_t> walk(uint64_t a, uint64_t b, const Watch& watch);
  /** `places`: tile and row, again and again. */
  std::vector<uint8_t> rows(const std::vector<uint32_t>& places);
  /** Their paths one after the other, log2(m) + log2(padded N) hashes each. */
  std::vector<uint8_t> paths(const std::vector<uint32_t>& places);
  /** The K places that a walker reads in a segment. */
  std::vector<uint32_t> steps(uint32_t walker, uint32_t segment);
  std::vector<uint8_t> checkpoints(uint32_t walker) const;
  std::vector<uint8_t> walkPath(uint32_t walker) const;
  /** Raw sums of a row of tile t: R times n little-endian int32. `row` is the row of the tile before. */
  std::vector<uint8_t> sums(uint32_t t, const std::vector<uint32_t>& rowsOfTile);

  const Params& params() const { return p_; }

 private:
  size_t paddedTiles() const;
  void check(uint32_t t, uint32_t i) const;

  std::unique_ptr<Engine> engine_;
  Params p_;
  Key key_;
  std::vector<uint8_t> top_, walkTree_;
  std::vector<uint64_t> checkpoints_;
  uint64_t a_ = 0, b_ = 0;
};

/** BAD_INPUT unless the sizes keep all sums exact and all trees even (graval.md 6.4). */
void checkParams(const Params& params);

}  // namespace graval
