#include "devices.h"
#include "driver.h"
#include "failure.h"

namespace graval {
namespace {

Napi::Value devices(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  try {
    const auto records = cudaDevices();
    auto out = Napi::Array::New(env, records.size());
    for (uint32_t i = 0; i < records.size(); i++) {
      const DeviceRecord& record = records[i];
      auto one = Napi::Object::New(env);
      one.Set("uuid", record.uuid);
      one.Set("name", record.name);
      one.Set("memory", (double)record.memory);
      one.Set("processors", record.processors);
      one.Set("clock_rate", record.clockRate);
      one.Set("max_threads_per_processor", record.maxThreads);
      one.Set("major", record.major);
      one.Set("minor", record.minor);
      one.Set("ecc", record.ecc != 0);
      out.Set(i, one);
    }
    return out;
  } catch (const Failure& failure) {
    Napi::Error error = Napi::Error::New(env, failure.what());
    error.Set("code", Napi::String::New(env, failure.code));
    throw error;
  }
}

}  // namespace

void defineDevices(Napi::Env env, Napi::Object exports) {
  exports.Set("cudaDevices", Napi::Function::New(env, devices));
  exports.Set("hasKernels", Napi::Boolean::New(env, hasKernels()));
}

}  // namespace graval
