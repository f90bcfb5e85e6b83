#pragma once
#include <napi.h>
#include "lanes.h"

namespace graval {

struct Refc1Sizes {
  uint32_t n, matrices, iterations;
};

/** `out`: 32 bytes for each matrix of each iteration. `n`: a multiple of 64. */
void refc1Hashes(Key key, const Refc1Sizes& sizes, uint8_t* out);

void defineRefc1(Napi::Env env, Napi::Object exports);

}  // namespace graval
