// What crosses between JavaScript and the engines: failures with a code, bytes, words, and the sizes of a challenge.
#pragma once
#define NAPI_VERSION 8
#include <napi.h>
#include <cstring>
#include <string>
#include <vector>
#include "session.h"

namespace graval {

using Bytes = std::vector<uint8_t>;

inline Napi::Error toError(Napi::Env env, const std::string& code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

/** Runs `body`, turning a Failure into a JavaScript error with its code. */
template <typename Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Failure& failure) {
    throw toError(env, failure.code, failure.what());
  } catch (const std::bad_alloc&) {
    throw toError(env, "VRAM_BUSY", "out of memory");
  }
}

inline Napi::Value toJs(Napi::Env env, const Bytes& bytes) { return Napi::Buffer<uint8_t>::Copy(env, bytes.data(), bytes.size()); }
inline Napi::Value toJs(Napi::Env env, const std::vector<uint32_t>& values) {
  auto out = Napi::Uint32Array::New(env, values.size());
  memcpy(out.Data(), values.data(), values.size() * 4);
  return out;
}

inline uint32_t word(const Napi::CallbackInfo& info, size_t at) { return info[at].As<Napi::Number>().Uint32Value(); }
inline uint64_t word64(const Napi::CallbackInfo& info, size_t at) {
  bool lossless;
  return info[at].As<Napi::BigInt>().Uint64Value(&lossless);
}
inline std::vector<uint32_t> words(const Napi::CallbackInfo& info, size_t at) {
  const auto array = info[at].As<Napi::Uint32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}
inline Bytes bytes(const Napi::CallbackInfo& info, size_t at) {
  const auto array = info[at].As<Napi::Uint8Array>();
  return {array.Data(), array.Data() + array.ByteLength()};
}
inline Params paramsOf(const Napi::CallbackInfo& info, size_t at) {
  const auto p = words(info, at);
  if (p.size() != 7) throw Failure("BAD_INPUT", "a challenge has seven sizes");
  const Params params = {p[0], p[1], p[2], p[3], p[4], p[5], p[6]};
  checkParams(params);
  return params;
}

}  // namespace graval
