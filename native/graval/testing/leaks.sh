#!/bin/sh
# The CPU engine under valgrind: fails on a wrong access, a use of unset memory, or memory that is lost for good.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build
g++ -std=c++17 -O1 -g -pthread -Wno-psabi testing/leaks.cpp cpp/session.cpp cpp/tree.cpp cpp/engine_cpu.cpp testing/plain_lanes.cpp \
  -o build/leaks
valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=1 --max-stackframe=9000000 build/leaks
