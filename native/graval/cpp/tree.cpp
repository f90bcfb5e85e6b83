#include <cstring>
#include "engine.h"

namespace graval {

std::vector<uint8_t> treeOf(std::vector<uint8_t> tree, size_t count) {
  tree.resize((2 * count - 1) * 32);
  size_t from = 0;
  for (size_t width = count; width > 1; width /= 2) {
    lanes()->nodes(tree.data() + from * 32, width / 2, tree.data() + (from + width) * 32);
    from += width;
  }
  return tree;
}

void appendPath(const std::vector<uint8_t>& tree, size_t count, size_t leaf, std::vector<uint8_t>& out) {
  size_t from = 0;
  for (size_t width = count; width > 1; width /= 2, leaf /= 2) {
    const uint8_t* sibling = tree.data() + (from + (leaf ^ 1)) * 32;
    out.insert(out.end(), sibling, sibling + 32);
    from += width;
  }
}

}  // namespace graval
