#include "lanes.h"
#include <cstring>
#include <initializer_list>

namespace graval {

namespace {

const Lanes* chosen = nullptr;

bool runs(const Lanes& table) {
  if (&table == &kPlain) return true;
  if (&table == &kAvx2) return __builtin_cpu_supports("avx2");
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

}  // namespace

const Lanes* lanes(const char* name) {
  if (name == nullptr && chosen != nullptr) return chosen;
  __builtin_cpu_init();
  for (const Lanes* table : {&kAvx512, &kAvx2, &kPlain})
    if ((name == nullptr || strcmp(name, table->name) == 0) && runs(*table)) return table;
  return nullptr;
}

bool useLanes(const char* name) {
  const Lanes* table = lanes(name);
  if (table != nullptr) chosen = table;
  return table != nullptr;
}

}  // namespace graval
