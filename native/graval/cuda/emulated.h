// The kernels of kernels.cu, run on the CPU: a thread of a block is a fibre that gives way at __syncthreads, blocks come one after another.
// This proves arithmetic and layout, not races, occupancy or speed.
#pragma once
#include <cstdint>

namespace graval {

/** `args` as for cuLaunchKernel. False when there is no kernel of that name. */
bool emulate(const char* kernel, uint32_t gridX, uint32_t gridY, uint32_t block, void** args);

}  // namespace graval
