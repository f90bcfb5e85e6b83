#pragma once
#include <napi.h>

namespace graval {

/** The vendor's two libraries: loadMiner(path), loadValidator(path). Only for a process of their own. */
void defineVendor(Napi::Env env, Napi::Object exports);

}  // namespace graval
