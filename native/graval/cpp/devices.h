#pragma once
#include <napi.h>

namespace graval {

/** cudaDevices(emulated): records of the GPUs. */
void defineDevices(Napi::Env env, Napi::Object exports);

}  // namespace graval
