// The vendor's libraries behind Node-API. Calls block: each library lives in a child process that does nothing else (graval.md 1.5).
#include "vendor.h"
#include <dlfcn.h>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
#include "vendor_abi.h"

namespace graval {
namespace {

using namespace vendor;

Miner miner{};
Validator validator{};
void* loaded = nullptr;

Napi::Error failure(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  return error;
}

/** Both libraries export the same names: one process holds one of them, and never closes it. */
void open(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  if (loaded != nullptr) throw failure(env, "BAD_ABI", "a process holds one of the vendor's libraries only");
  const std::string path = info[0].As<Napi::String>();
  // Node exports an OpenSSL of its own, which the library's ciphers would end up in and crash: its own dependencies come first.
  loaded = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (loaded == nullptr) throw failure(env, "NO_LIBRARY", dlerror());
}

template <typename Function>
void find(Napi::Env env, Function& slot, const char* symbol) {
  slot = reinterpret_cast<Function>(dlsym(loaded, symbol));
  if (slot == nullptr) throw failure(env, "BAD_ABI", std::string("the library has no ") + symbol + ": it is not version 0.2.6");
}

/** Text of the library's allocation, at most `limit` bytes, freed. Undefined for NULL. */
Napi::Value taken(Napi::Env env, char* text, size_t limit) {
  if (text == nullptr) return env.Undefined();
  const std::string copy(text, strnlen(text, limit));
  free(text);
  return Napi::String::New(env, copy);
}

unsigned long seedOf(const Napi::Value& value) {
  bool lossless;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

void loadMiner(const Napi::CallbackInfo& info) {
  open(info);
  const auto env = info.Env();
  find(env, miner.initialize_node, "initialize_node");
  find(env, miner.gather_device_info, "gather_device_info");
  find(env, miner.generate_challenge_matrices, "generate_challenge_matrices");
  find(env, miner.miner_decrypt, "miner_decrypt");
  find(env, miner.miner_device_info_challenge, "miner_device_info_challenge");
  find(env, miner.miner_filesystem_challenge, "miner_filesystem_challenge");
}

void loadValidator(const Napi::CallbackInfo& info) {
  open(info);
  const auto env = info.Env();
  find(env, validator.initialize_node, "initialize_node");
  find(env, validator.validator_encrypt, "validator_encrypt");
  find(env, validator.validator_check_proof, "validator_check_proof");
  find(env, validator.generate_device_info_challenge, "generate_device_info_challenge");
  find(env, validator.verify_device_info_challenge, "verify_device_info_challenge");
}

/** Number of devices; 0 is a failure, after which no other function may be called. */
Napi::Value initialize(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  if (miner.initialize_node != nullptr) return Napi::Number::New(env, miner.initialize_node());
  if (validator.initialize_node != nullptr) return Napi::Number::New(env, (double)validator.initialize_node());
  throw failure(env, "NO_LIBRARY", "no library is loaded");
}

Napi::Value hashesOf(Napi::Env env, const WorkProduct& product) {
  const size_t count = product.num_matrices * product.total_iterations;
  auto out = Napi::Array::New(env, count);
  for (size_t i = 0; i < count; i++)
    out.Set((uint32_t)i, Napi::Buffer<uint8_t>::Copy(env, product.intermediate_hashes[i], kHashSize));
  return out;
}

/** deviceInfo(index): the record, with `work` after a proof that this device did. */
Napi::Value deviceInfo(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  char text[kErrorSize + 1] = {};
  const DeviceInfo* device = miner.gather_device_info(info[0].As<Napi::Number>().Uint32Value(), text);
  if (device == nullptr) throw failure(env, "NO_DEVICE", text);
  auto out = Napi::Object::New(env);
  out.Set("name", std::string(device->name, strnlen(device->name, sizeof device->name)));
  out.Set("uuid", std::string(device->uuid, strnlen(device->uuid, sizeof device->uuid)));
  out.Set("memory", (double)device->memory);
  out.Set("processors", (double)device->processors);
  out.Set("clock_rate", device->clock_rate);
  out.Set("max_threads_per_processor", device->max_threads_per_processor);
  if (device->work_product != nullptr && device->work_product->intermediate_hashes != nullptr) {
    auto work = Napi::Object::New(env);
    work.Set("hashes", hashesOf(env, *device->work_product));
    work.Set("num_matrices", (double)device->work_product->num_matrices);
    work.Set("total_iterations", (double)device->work_product->total_iterations);
    out.Set("work", work);
  }
  return out;
}

Napi::Value prove(const Napi::CallbackInfo& info) {
  const unsigned long seed = seedOf(info[0]);
  return Napi::Number::New(info.Env(), miner.generate_challenge_matrices(seed, info[1].As<Napi::Number>().Uint32Value()));
}

Napi::Value decrypt(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto iv = info[2].As<Napi::Uint8Array>(), bytes = info[3].As<Napi::Uint8Array>();
  if (iv.ByteLength() != 16) throw failure(env, "BAD_INPUT", "an initialization vector has 16 bytes");
  std::vector<uint8_t> copy(bytes.Data(), bytes.Data() + bytes.ByteLength());
  Ciphertext sealed{copy.size(), seedOf(info[1]), copy.data(), {}};
  memcpy(sealed.initialization_vector, iv.Data(), 16);
  return taken(env, miner.miner_decrypt(&sealed, info[0].As<Napi::Number>().Uint32Value()), copy.size() + 32);
}

Napi::Value infoAnswer(const Napi::CallbackInfo& info) {
  const std::string challenge = info[0].As<Napi::String>();
  return taken(info.Env(), miner.miner_device_info_challenge(challenge.c_str()), kAnswerSize);
}

Napi::Value fileAnswer(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const auto at = [&](size_t i) { return (size_t)info[i].As<Napi::Number>().Int64Value(); };
  return taken(info.Env(), miner.miner_filesystem_challenge(path.c_str(), at(1), at(2)), kAnswerSize);
}

/** The advertised record as the validator's side wants it: every pointer NULL. */
DeviceInfo recordOf(const Napi::Value& value) {
  const auto from = value.As<Napi::Object>();
  DeviceInfo out{};
  const std::string name = from.Get("name").As<Napi::String>(), uuid = from.Get("uuid").As<Napi::String>();
  memcpy(out.name, name.data(), std::min(name.size(), sizeof out.name));
  memcpy(out.uuid, uuid.data(), std::min(uuid.size(), sizeof out.uuid - 1));
  out.memory = (size_t)from.Get("memory").As<Napi::Number>().DoubleValue();
  out.processors = (size_t)from.Get("processors").As<Napi::Number>().Int64Value();
  out.clock_rate = from.Get("clock_rate").As<Napi::Number>().DoubleValue();
  out.max_threads_per_processor = from.Get("max_threads_per_processor").As<Napi::Number>().Uint32Value();
  return out;
}

Napi::Value encrypt(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  DeviceInfo device = recordOf(info[0]);
  const std::string text = info[1].As<Napi::String>();
  Ciphertext* sealed = validator.validator_encrypt(&device, text.c_str(), info[2].As<Napi::Number>().Uint32Value(), seedOf(info[3]));
  if (sealed == nullptr) return env.Undefined();
  auto out = Napi::Object::New(env);
  out.Set("seed", Napi::BigInt::New(env, (uint64_t)sealed->seed));
  out.Set("iv", Napi::Buffer<uint8_t>::Copy(env, sealed->initialization_vector, 16));
  out.Set("ciphertext", Napi::Buffer<uint8_t>::Copy(env, sealed->ciphertext, sealed->length));
  free(sealed->ciphertext);
  free(sealed);
  return out;
}

/** checkProof(device, seed, iteration, index, hashes, num_matrices, total_iterations): bounds are the caller's to check. */
Napi::Value checkProof(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto number = [&](size_t i) { return (size_t)info[i].As<Napi::Number>().Int64Value(); };
  DeviceInfo device = recordOf(info[0]);
  const auto sent = info[4].As<Napi::Array>();
  std::vector<std::vector<uint8_t>> hashes;
  std::vector<uint8_t*> pointers;
  hashes.reserve(sent.Length());
  for (uint32_t i = 0; i < sent.Length(); i++) {
    const auto hash = sent.Get(i).As<Napi::Uint8Array>();
    if (hash.ByteLength() != kHashSize) throw failure(env, "BAD_INPUT", "a hash has 32 bytes");
    hashes.emplace_back(hash.Data(), hash.Data() + kHashSize);
    pointers.push_back(hashes.back().data());
  }
  WorkProduct product{nullptr, pointers.data(), number(5), number(6)};
  if (product.num_matrices * product.total_iterations != pointers.size() || number(2) >= product.total_iterations)
    return Napi::Boolean::New(env, false);
  return Napi::Boolean::New(env, validator.validator_check_proof(&device, seedOf(info[1]), number(2), &product, number(3)));
}

Napi::Value makeInfoChallenge(const Napi::CallbackInfo& info) {
  return taken(info.Env(), validator.generate_device_info_challenge(info[0].As<Napi::Number>().Int32Value()), kAnswerSize);
}

Napi::Value checkInfo(const Napi::CallbackInfo& info) {
  const std::string challenge = info[0].As<Napi::String>(), answer = info[1].As<Napi::String>();
  const auto sent = info[2].As<Napi::Array>();
  std::vector<DeviceInfo> devices(sent.Length());
  std::vector<DeviceInfo*> pointers;
  for (uint32_t i = 0; i < sent.Length(); i++) {
    devices[i] = recordOf(sent.Get(i));
    pointers.push_back(&devices[i]);
  }
  return Napi::Boolean::New(
      info.Env(), validator.verify_device_info_challenge(challenge.c_str(), answer.c_str(), pointers.data(), (unsigned)pointers.size()));
}

}  // namespace

void defineVendor(Napi::Env env, Napi::Object exports) {
  auto vendor = Napi::Object::New(env);
  const auto define = [&](const char* name, auto function) { vendor.Set(name, Napi::Function::New(env, function)); };
  define("loadMiner", loadMiner);
  define("loadValidator", loadValidator);
  define("initialize", initialize);
  define("deviceInfo", deviceInfo);
  define("prove", prove);
  define("decrypt", decrypt);
  define("infoAnswer", infoAnswer);
  define("fileAnswer", fileAnswer);
  define("encrypt", encrypt);
  define("checkProof", checkProof);
  define("makeInfoChallenge", makeInfoChallenge);
  define("checkInfo", checkInfo);
  exports.Set("vendor", vendor);
}

}  // namespace graval
