// A whole session on the CPU, and one that is aborted: what leaks.sh watches.
#include <cstdio>
#include "../cpp/session.h"

using namespace graval;

static size_t whole() {
  const Params params = {64, 16, 4, 2, 4, 3, 2};
  std::atomic<bool> aborted{false};
  const Watch watch = {&aborted, [](const char*, uint64_t, uint64_t) {}};
  Session session(makeCpuEngine(2, nullptr), params, {1, 2});
  session.fill(watch);
  session.walk(3, 4, watch);
  session.steps(2, 1);
  return session.paths({1, 5, 3, 2}).size() + session.sums(2, {1, 7}).size();
}

static bool aborts() {
  std::atomic<bool> aborted{true};
  const Watch watch = {&aborted, [](const char*, uint64_t, uint64_t) {}};
  Session session(makeCpuEngine(2, nullptr), {64, 16, 4, 2, 4, 3, 2}, {1, 2});
  try {
    session.fill(watch);
    return false;
  } catch (const Failure& failure) {
    return failure.code == "ABORTED";
  }
}

int main() {
  const bool good = whole() == 2 * 6 * 32 + 2 * 2 * 64 * 4 && aborts();
  puts(good ? "good" : "wrong");
  return good ? 0 : 2;
}
