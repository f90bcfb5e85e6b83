#pragma once
#include <stdexcept>
#include <string>

namespace graval {

/** Becomes a GravalError with this code. */
struct Failure : std::runtime_error {
  std::string code;
  Failure(std::string errorCode, const std::string& message) : std::runtime_error(message), code(std::move(errorCode)) {}
};

}  // namespace graval
