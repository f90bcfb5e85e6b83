#include "session.h"
#include <algorithm>
#include <cstring>
#include <map>

namespace graval {

void checkParams(const Params& p) {
  const auto power = [](uint32_t x) { return x > 0 && (x & (x - 1)) == 0; };
  if (!power(p.n) || p.n < 64 || p.n > 65536) throw Failure("BAD_INPUT", "n must be a power of two from 64 to 65536");
  if (!power(p.m) || !power(p.W)) throw Failure("BAD_INPUT", "m and W must be powers of two");
  if (p.N < 2 || p.R < 1 || p.R > 255 || p.K < 1 || p.G < 1) throw Failure("BAD_INPUT", "N is at least 2; R, K and G at least 1; R at most 255");
  if ((uint64_t)p.m * p.n > 1ull << 30) throw Failure("BAD_INPUT", "a tile has at most 1 GiB");
  if ((uint64_t)p.N * p.m > 1ull << 36 || (uint64_t)p.W * p.G > 1ull << 28) throw Failure("BAD_INPUT", "more rows or checkpoints than any GPU has use for");
}

size_t Session::paddedTiles() const {
  size_t width = 1;
  while (width < p_.N) width *= 2;
  return width;
}

void Session::check(uint32_t t, uint32_t i) const {
  if (t >= p_.N || i >= p_.m || top_.empty()) throw Failure("BAD_INPUT", "no such row in this session");
}

std::vector<uint8_t> Session::fill(const Watch& watch) {
  engine_->fill(p_, key_, watch);
  std::vector<uint8_t> roots(paddedTiles() * 32);
  for (uint32_t t = 0; t < p_.N; t++) {
    engine_->root(t, roots.data() + (size_t)t * 32);
    watch.at("hash", t + 1, p_.N);
  }
  top_ = treeOf(std::move(roots), paddedTiles());
  return {top_.end() - 32, top_.end()};
}

std::vector<uint8_t> Session::walk(uint64_t a, uint64_t b, const Watch& watch) {
  if (top_.empty()) throw Failure("BAD_INPUT", "a walk comes after the fill");
  a_ = a;
  b_ = b;
  checkpoints_.assign((size_t)p_.W * p_.G, 0);
  engine_->walk(a, b, checkpoints_.data(), watch);
  std::vector<uint8_t> hashes((size_t)p_.W * 32);
  // The leaf hash of a tile has the prefix 0 ‖ t ‖ i: a walker's prefix 2 ‖ w is another, so it is hashed by itself.
  for (uint32_t w = 0; w < p_.W; w++) {
    std::vector<uint8_t> message(5 + (size_t)p_.G * 8);
    message[0] = 2;
    memcpy(message.data() + 1, &w, 4);
    memcpy(message.data() + 5, &checkpoints_[(size_t)w * p_.G], (size_t)p_.G * 8);
    lanes()->digest(message.data(), message.size(), hashes.data() + (size_t)w * 32);
  }
  walkTree_ = treeOf(std::move(hashes), p_.W);
  return {walkTree_.end() - 32, walkTree_.end()};
}

std::vector<uint8_t> Session::rows(const std::vector<uint32_t>& places) {
  std::vector<uint8_t> out(places.size() / 2 * p_.n);
  for (size_t at = 0; at + 1 < places.size(); at += 2) {
    check(places[at], places[at + 1]);
    engine_->read(places[at], places[at + 1], out.data() + at / 2 * p_.n);
  }
  return out;
}

std::vector<uint8_t> Session::paths(const std::vector<uint32_t>& places) {
  const size_t padded = paddedTiles();
  size_t levels = 0;
  for (size_t width = p_.m; width > 1; width /= 2) levels++;
  for (size_t width = padded; width > 1; width /= 2) levels++;
  std::map<uint32_t, std::vector<size_t>> byTile;
  for (size_t at = 0; at + 1 < places.size(); at += 2) {
    check(places[at], places[at + 1]);
    byTile[places[at]].push_back(at / 2);
  }
  std::vector<uint8_t> out(places.size() / 2 * levels * 32);
  for (const auto& [t, wanted] : byTile) {
    std::vector<uint8_t> leafHashes((size_t)p_.m * 32);
    engine_->leaves(t, leafHashes.data());
    const auto tree = treeOf(std::move(leafHashes), p_.m);
    for (const size_t index : wanted) {
      std::vector<uint8_t> path;
      appendPath(tree, p_.m, places[index * 2 + 1], path);
      appendPath(top_, padded, t, path);
      memcpy(out.data() + index * levels * 32, path.data(), path.size());
    }
  }
  return out;
}

std::vector<uint32_t> Session::steps(uint32_t walker, uint32_t segment) {
  if (walker >= p_.W || segment >= p_.G || checkpoints_.empty()) throw Failure("BAD_INPUT", "no such walk in this session");
  uint64_t state = segment == 0 ? startOf(a_, b_, walker) : checkpoints_[(size_t)walker * p_.G + segment - 1];
  std::vector<uint32_t> out;
  std::vector<uint8_t> row(p_.n);
  for (uint32_t k = 0; k < p_.K; k++) {
    uint64_t z;
    const Place place = placeOf(state, p_, &z);
    engine_->read(place.t, place.i, row.data());
    out.push_back(place.t);
    out.push_back(place.i);
    state = advance(state, row.data() + place.offset);
  }
  return out;
}

std::vector<uint8_t> Session::checkpoints(uint32_t walker) const {
  if (walker >= p_.W || checkpoints_.empty()) throw Failure("BAD_INPUT", "no such walk in this session");
  const auto* from = (const uint8_t*)&checkpoints_[(size_t)walker * p_.G];
  return {from, from + (size_t)p_.G * 8};
}

std::vector<uint8_t> Session::walkPath(uint32_t walker) const {
  std::vector<uint8_t> path;
  appendPath(walkTree_, p_.W, walker, path);
  return path;
}

std::vector<uint8_t> Session::sums(uint32_t t, const std::vector<uint32_t>& rowsOfTile) {
  const size_t count = rowsOfTile.size(), size = (size_t)p_.n * 4;
  std::vector<uint32_t> places;
  for (const uint32_t i : rowsOfTile) places.insert(places.end(), {t - 1, i});
  auto y = rows(places);
  std::vector<int32_t> raw(p_.R * count * p_.n), bias(kPanel);
  std::vector<uint32_t> words((size_t)p_.n / 4 * kPanel);
  for (uint32_t r = 0; r < p_.R; r++) {
    int32_t* made = raw.data() + (size_t)r * count * p_.n;
    for (size_t j = 0; j < p_.n; j += kPanel) {
      lanes()->pack(words.data(), bias.data(), j, p_.n, key_, 2 | r << 8, t);
      lanes()->sums(y.data(), count, p_.n, {words.data(), bias.data()}, made + j, p_.n);
    }
    lanes()->mixAll(made, y.size(), y.data());
  }
  // From product by product to row by row.
  std::vector<uint8_t> out(p_.R * count * size);
  for (size_t row = 0; row < count; row++)
    for (size_t r = 0; r < p_.R; r++)
      memcpy(out.data() + (row * p_.R + r) * size, (uint8_t*)raw.data() + (r * count + row) * size, size);
  return out;
}

}  // namespace graval
