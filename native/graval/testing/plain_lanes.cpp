// The plain instruction set alone: valgrind does not know AVX-512.
#include "../cpp/lanes_plain.cpp"

namespace graval {
const Lanes* lanes(const char*) { return &kPlain; }
}  // namespace graval
