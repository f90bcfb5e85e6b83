// What a validator computes, as functions of the addon: rowOf, product, columns, mixed, roots.
#pragma once
#include "arguments.h"

namespace graval {

void defineCheck(Napi::Env env, Napi::Object exports);

}  // namespace graval
