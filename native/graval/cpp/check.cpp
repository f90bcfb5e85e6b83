// The validator's side of an audit (graval.md 6.4, step 6): calls that take milliseconds, on the caller's thread.
#include "check.h"

namespace graval {
namespace {

/** rowOf(sizes, k0, k1, t, row): the row after R products. */
Napi::Value rowOf(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Params params = paramsOf(info, 0);
    Bytes row = bytes(info, 4), next(params.n);
    if (row.size() != params.n) throw Failure("BAD_INPUT", "a row has n bytes");
    for (uint32_t r = 0; r < params.R; r++) {
      lanes()->rowTimes(row.data(), params.n, {word(info, 1), word(info, 2)}, 2 | r << 8, word(info, 3), next.data());
      row.swap(next);
    }
    return toJs(info.Env(), row);
  });
}

/** Rows of y and of sums as they were sent, and the matrix that leads from the ones to the others. */
struct Claim {
  Params params;
  Key key;
  uint32_t stream, domain;
  Napi::Uint8Array y;
  const int32_t* sums;
  size_t rows;
};

/** Arguments sizes, k0, k1, t, r, then `y` and `sums` at 6 and 7. */
Claim claimOf(const Napi::CallbackInfo& info) {
  const Params params = paramsOf(info, 0);
  const auto y = info[6].As<Napi::Uint8Array>(), sums = info[7].As<Napi::Uint8Array>();
  const size_t rows = y.ByteLength() / params.n;
  if (y.ByteLength() != rows * params.n || sums.ByteLength() != y.ByteLength() * 4 || (uintptr_t)sums.Data() % 4 != 0)
    throw Failure("BAD_INPUT", "rows of n bytes, and n sums of 32 bits for each");
  return {params, {word(info, 1), word(info, 2)}, word(info, 3), 2 | word(info, 4) << 8, y, (const int32_t*)sums.Data(), rows};
}

/** product(sizes, k0, k1, t, r, vectors, y, sums): do the sums hold under both vectors? */
Napi::Value product(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Claim claim = claimOf(info);
    const size_t n = claim.params.n;
    const auto v = words(info, 5);
    if (v.size() != 2 * n) throw Failure("BAD_INPUT", "two vectors of n values");
    std::vector<uint32_t> u(2 * n);
    lanes()->transposed(v.data(), n, claim.key, claim.domain, claim.stream, u.data());
    return Napi::Boolean::New(info.Env(), lanes()->follows(claim.y.Data(), claim.sums, claim.rows, n, u.data(), v.data()));
  });
}

/** columns(sizes, k0, k1, t, r, columns, y, sums): are the sums of these columns right in every row? */
Napi::Value columns(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Claim claim = claimOf(info);
    const size_t n = claim.params.n;
    Bytes made(n);
    bool same = true;
    for (const uint32_t column : words(info, 5)) {
      if (column >= n) throw Failure("BAD_INPUT", "a column below n");
      lanes()->prf(made.data(), (size_t)column * n, n, claim.key, claim.domain, claim.stream);
      for (size_t row = 0; row < claim.rows && same; row++) {
        const uint8_t* y = claim.y.Data() + row * n;
        int32_t sum = 0;
        for (size_t k = 0; k < n; k++) sum += (int8_t)y[k] * (int8_t)made[k];
        same = sum == claim.sums[row * n + column];
      }
    }
    return Napi::Boolean::New(info.Env(), same);
  });
}

/** mixed(sums): each sum of 32 bits mixed to a byte. */
Napi::Value mixed(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto sums = info[0].As<Napi::Uint8Array>();
    if (sums.ByteLength() % 4 != 0 || (uintptr_t)sums.Data() % 4 != 0) throw Failure("BAD_INPUT", "sums of 32 bits");
    const auto out = Napi::Buffer<uint8_t>::New(info.Env(), sums.ByteLength() / 4);
    lanes()->mixAll((const int32_t*)sums.Data(), out.ByteLength(), out.Data());
    return out;
  });
}

size_t levelsOf(size_t leaves) {
  size_t levels = 0;
  while (((size_t)1 << levels) < leaves) levels++;
  return levels;
}

/** roots(sizes, places, rows, paths): the root that each row and its siblings lead to, 32 bytes each. `places`: tile, row … */
Napi::Value roots(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Params params = paramsOf(info, 0);
    const auto places = words(info, 1);
    const auto rows = info[2].As<Napi::Uint8Array>(), paths = info[3].As<Napi::Uint8Array>();
    const size_t count = places.size() / 2, inTile = levelsOf(params.m), levels = inTile + levelsOf(params.N);
    if (places.size() != 2 * count || rows.ByteLength() != count * params.n || paths.ByteLength() != 32 * levels * count)
      throw Failure("BAD_INPUT", "a row and a path for each place");
    Bytes hashes(32 * count), pairs(64 * count);
    lanes()->leaves(rows.Data(), count, params.n, places.data(), hashes.data());
    for (size_t level = 0; level < levels; level++) {
      for (size_t at = 0; at < count; at++) {
        const uint32_t index = level < inTile ? places[2 * at + 1] >> level : places[2 * at] >> (level - inTile);
        memcpy(&pairs[64 * at + 32 * (index & 1)], &hashes[32 * at], 32);
        memcpy(&pairs[64 * at + 32 * (~index & 1)], paths.Data() + 32 * (levels * at + level), 32);
      }
      lanes()->nodes(pairs.data(), count, hashes.data());
    }
    return toJs(info.Env(), hashes);
  });
}

}  // namespace

void defineCheck(Napi::Env env, Napi::Object exports) {
  exports.Set("rowOf", Napi::Function::New(env, rowOf));
  exports.Set("roots", Napi::Function::New(env, roots));
  exports.Set("product", Napi::Function::New(env, product));
  exports.Set("columns", Napi::Function::New(env, columns));
  exports.Set("mixed", Napi::Function::New(env, mixed));
}

}  // namespace graval
