// Node-API face of the engines. Every long call runs on a thread of its own and settles a promise; errors carry a `code`.
#define NAPI_VERSION 8
#include <napi.h>
#include <chrono>
#include <sys/prctl.h>
#include <csignal>
#include <cstring>
#include <thread>
#include "devices.h"
#include "refc1.h"
#include "session.h"
#include "vendor.h"

namespace graval {
namespace {

using Bytes = std::vector<uint8_t>;

Napi::Error toError(Napi::Env env, const std::string& code, const std::string& message) {
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

Napi::Value toJs(Napi::Env env, const Bytes& bytes) { return Napi::Buffer<uint8_t>::Copy(env, bytes.data(), bytes.size()); }
Napi::Value toJs(Napi::Env env, const std::vector<uint32_t>& values) {
  auto out = Napi::Uint32Array::New(env, values.size());
  memcpy(out.Data(), values.data(), values.size() * 4);
  return out;
}

uint32_t word(const Napi::CallbackInfo& info, size_t at) { return info[at].As<Napi::Number>().Uint32Value(); }
uint64_t word64(const Napi::CallbackInfo& info, size_t at) {
  bool lossless;
  return info[at].As<Napi::BigInt>().Uint64Value(&lossless);
}
std::vector<uint32_t> words(const Napi::CallbackInfo& info, size_t at) {
  const auto array = info[at].As<Napi::Uint32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}
Bytes bytes(const Napi::CallbackInfo& info, size_t at) {
  const auto array = info[at].As<Napi::Uint8Array>();
  return {array.Data(), array.Data() + array.ByteLength()};
}
Params paramsOf(const Napi::CallbackInfo& info, size_t at) {
  const auto p = words(info, at);
  if (p.size() != 7) throw Failure("BAD_INPUT", "a challenge has seven sizes");
  const Params params = {p[0], p[1], p[2], p[3], p[4], p[5], p[6]};
  checkParams(params);
  return params;
}

struct Report {
  std::string phase;
  uint64_t done, total;
};

/** One job on a thread; progress at most every 50 ms and at each phase's end. */
template <typename Result>
class Job : public Napi::AsyncProgressQueueWorker<Report> {
 public:
  using Work = std::function<Result(const Watch&)>;
  Job(Napi::Env env, Napi::Object owner, Napi::Value callback, std::shared_ptr<std::atomic<bool>> aborted, Work work)
      : Napi::AsyncProgressQueueWorker<Report>(env), promise(Napi::Promise::Deferred::New(env)), aborted_(std::move(aborted)), work_(std::move(work)) {
    if (!owner.IsEmpty()) owner_ = Napi::Persistent(owner);
    if (callback.IsFunction()) report_ = Napi::Persistent(callback.As<Napi::Function>());
  }
  void Execute(const ExecutionProgress& progress) override {
    using Clock = std::chrono::steady_clock;
    Clock::time_point next = Clock::now();
    const Watch watch = {aborted_.get(), [&](const char* phase, uint64_t done, uint64_t total) {
                           if (report_.IsEmpty() || (done < total && Clock::now() < next)) return;
                           next = Clock::now() + std::chrono::milliseconds(50);
                           const Report report = {phase, done, total};
                           progress.Send(&report, 1);
                         }};
    try {
      result_ = work_(watch);
    } catch (const Failure& failure) {
      code_ = failure.code;
      SetError(failure.what());
    } catch (const std::bad_alloc&) {
      code_ = "VRAM_BUSY";
      SetError("out of memory");
    }
  }
  void OnProgress(const Report* reports, size_t count) override {
    for (size_t i = 0; i < count && !report_.IsEmpty(); i++)
      report_.Call({Napi::String::New(Env(), reports[i].phase), Napi::Number::New(Env(), (double)reports[i].done),
                    Napi::Number::New(Env(), (double)reports[i].total)});
  }
  void OnOK() override { promise.Resolve(toJs(Env(), result_)); }
  void OnError(const Napi::Error& error) override {
    promise.Reject(toError(Env(), code_.empty() ? "INTERNAL" : code_, error.Message()).Value());
  }
  Napi::Promise::Deferred promise;

 private:
  std::shared_ptr<std::atomic<bool>> aborted_;
  Work work_;
  Result result_;
  std::string code_;
  Napi::ObjectReference owner_;
  Napi::FunctionReference report_;
};

/** new OgvSession(kind, device, threads, lanes, sizes, k0, k1) */
class OgvSession : public Napi::ObjectWrap<OgvSession> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "OgvSession",
                       {InstanceMethod<&OgvSession::fill>("fill"), InstanceMethod<&OgvSession::walk>("walk"),
                        InstanceMethod<&OgvSession::rows>("rows"), InstanceMethod<&OgvSession::paths>("paths"),
                        InstanceMethod<&OgvSession::steps>("steps"), InstanceMethod<&OgvSession::sums>("sums"),
                        InstanceMethod<&OgvSession::checkpoints>("checkpoints"), InstanceMethod<&OgvSession::walkPath>("walkPath"),
                        InstanceMethod<&OgvSession::free>("free")});
  }
  explicit OgvSession(const Napi::CallbackInfo& info) : Napi::ObjectWrap<OgvSession>(info) {
    guarded(info.Env(), [&] {
      const std::string kind = info[0].As<Napi::String>();
      const int device = info[1].As<Napi::Number>().Int32Value();
      unsigned threads = word(info, 2);
      if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
      const std::string table = info[3].IsString() ? info[3].As<Napi::String>().Utf8Value() : "";
      const Params params = paramsOf(info, 4);
      auto engine = kind == "cpu" ? makeCpuEngine(threads, table.empty() ? nullptr : table.c_str())
                                  : makeCudaEngine(device, kind == "emulated");
      session_ = std::make_shared<Session>(std::move(engine), params, Key{word(info, 5), word(info, 6)});
    });
  }

 private:
  template <typename Result>
  Napi::Value run(const Napi::CallbackInfo& info, Napi::Value callback, std::function<Result(Session&, const Watch&)> work) {
    if (!session_) throw toError(info.Env(), "BAD_INPUT", "the session has ended");
    if (busy_->exchange(true)) throw toError(info.Env(), "BAD_INPUT", "the session is at work");
    auto session = session_;
    auto busy = busy_;
    auto* job = new Job<Result>(info.Env(), info.This().As<Napi::Object>(), callback, aborted_,
                                [session, busy, work](const Watch& watch) {
                                  struct Done {
                                    std::atomic<bool>& flag;
                                    ~Done() { flag = false; }
                                  } done{*busy};
                                  return work(*session, watch);
                                });
    const auto promise = job->promise.Promise();
    job->Queue();
    return promise;
  }
  Napi::Value fill(const Napi::CallbackInfo& info) {
    return run<Bytes>(info, info[0], [](Session& session, const Watch& watch) { return session.fill(watch); });
  }
  Napi::Value walk(const Napi::CallbackInfo& info) {
    const uint64_t a = word64(info, 0), b = word64(info, 1);
    return run<Bytes>(info, info[2], [=](Session& session, const Watch& watch) { return session.walk(a, b, watch); });
  }
  Napi::Value rows(const Napi::CallbackInfo& info) {
    const auto places = words(info, 0);
    return run<Bytes>(info, info.Env().Undefined(), [=](Session& session, const Watch&) { return session.rows(places); });
  }
  Napi::Value paths(const Napi::CallbackInfo& info) {
    const auto places = words(info, 0);
    return run<Bytes>(info, info.Env().Undefined(), [=](Session& session, const Watch&) { return session.paths(places); });
  }
  Napi::Value steps(const Napi::CallbackInfo& info) {
    const uint32_t walker = word(info, 0), segment = word(info, 1);
    return run<std::vector<uint32_t>>(info, info.Env().Undefined(),
                                      [=](Session& session, const Watch&) { return session.steps(walker, segment); });
  }
  Napi::Value sums(const Napi::CallbackInfo& info) {
    const uint32_t t = word(info, 0);
    const auto rowsOfTile = words(info, 1);
    return run<Bytes>(info, info.Env().Undefined(), [=](Session& session, const Watch&) { return session.sums(t, rowsOfTile); });
  }
  Session& idle(Napi::Env env) {
    if (!session_ || *busy_) throw toError(env, "BAD_INPUT", "the session has ended or is at work");
    return *session_;
  }
  Napi::Value checkpoints(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] { return toJs(info.Env(), idle(info.Env()).checkpoints(word(info, 0))); });
  }
  Napi::Value walkPath(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] { return toJs(info.Env(), idle(info.Env()).walkPath(word(info, 0))); });
  }
  /** Ends what is at work, too; the memory goes with it. */
  void free(const Napi::CallbackInfo&) {
    *aborted_ = true;
    session_.reset();
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<std::atomic<bool>> aborted_ = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<std::atomic<bool>> busy_ = std::make_shared<std::atomic<bool>>(false);
};

/** rowOf(sizes, k0, k1, t, row): the row after R products. */
Napi::Value rowOf(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Params params = paramsOf(info, 0);
    const Bytes row = bytes(info, 4);
    if (row.size() != params.n) throw Failure("BAD_INPUT", "a row has n bytes");
    return toJs(info.Env(), products(row.data(), 1, params, {word(info, 1), word(info, 2)}, word(info, 3), nullptr));
  });
}

/** transposed(sizes, k0, k1, t, r, vectors): Sᵀr for two vectors of n u32 each; result: two times n u32. */
Napi::Value transposed(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Params params = paramsOf(info, 0);
    const auto vectors = words(info, 5);
    const size_t n = params.n;
    if (vectors.size() != 2 * n) throw Failure("BAD_INPUT", "two vectors of n values");
    std::vector<uint64_t> u(2 * n);
    lanes()->transposed(vectors.data(), vectors.data() + n, n, {word(info, 1), word(info, 2)}, 2 | word(info, 4) << 8, word(info, 3),
                        u.data(), u.data() + n);
    return toJs(info.Env(), std::vector<uint32_t>(u.begin(), u.end()));
  });
}

size_t levelsOf(size_t leaves) {
  size_t levels = 0;
  while (((size_t)1 << levels) < leaves) levels++;
  return levels;
}

/** roots(sizes, places, leaves, paths): the root that each leaf hash and its siblings lead to, 32 bytes each. `places`: tile, row … */
Napi::Value roots(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Params params = paramsOf(info, 0);
    const auto places = words(info, 1);
    Bytes hashes = bytes(info, 2);
    const Bytes paths = bytes(info, 3);
    const size_t count = places.size() / 2, inTile = levelsOf(params.m), levels = inTile + levelsOf(params.N);
    if (places.size() != 2 * count || hashes.size() != 32 * count || paths.size() != 32 * levels * count)
      throw Failure("BAD_INPUT", "a leaf and a path for each place");
    Bytes pairs(64 * count);
    for (size_t level = 0; level < levels; level++) {
      for (size_t at = 0; at < count; at++) {
        const uint32_t index = level < inTile ? places[2 * at + 1] >> level : places[2 * at] >> (level - inTile);
        memcpy(&pairs[64 * at + 32 * (index & 1)], &hashes[32 * at], 32);
        memcpy(&pairs[64 * at + 32 * (~index & 1)], &paths[32 * (levels * at + level)], 32);
      }
      lanes()->nodes(pairs.data(), count, hashes.data());
    }
    return toJs(info.Env(), hashes);
  });
}

/** dots(bytes, sums, u, r): for each row ⟨bytes, u⟩ = ⟨sums, r⟩ modulo 2^31 - 1, for both vectors. */
Napi::Value dots(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Bytes y = bytes(info, 0), sums = bytes(info, 1);
    const auto u = words(info, 2), r = words(info, 3);
    const size_t n = u.size() / 2;
    if (n == 0 || y.size() % n != 0 || sums.size() != y.size() * 4 || r.size() != 2 * n) throw Failure("BAD_INPUT", "rows of n values");
    constexpr int64_t p = 0x7FFFFFFF;
    bool same = true;
    for (size_t row = 0; row < y.size() / n && same; row++)
      for (size_t v = 0; v < 2; v++) {
        int64_t left = 0, right = 0;
        for (size_t k = 0; k < n; k++) {
          int32_t sum;
          memcpy(&sum, &sums[(row * n + k) * 4], 4);
          // Whatever the prover sent, |sum| and r are below 2^31: folded once, 2^17 of them fit.
          const int64_t x = (int64_t)sum * (int64_t)r[v * n + k];
          right += (x >> 31) + (x & p);
          left += (int64_t)(int8_t)y[row * n + k] * (int64_t)u[v * n + k];
        }
        if (((left - right) % p) != 0) same = false;
      }
    return Napi::Boolean::New(info.Env(), same);
  });
}

/** cpu(): instruction set and threads of the CPU engine. */
Napi::Value cpu(const Napi::CallbackInfo& info) {
  auto out = Napi::Object::New(info.Env());
  out.Set("lanes", lanes()->name);
  out.Set("threads", std::max(1u, std::thread::hardware_concurrency()));
  return out;
}

/** dieWithParent(): a call that blocks cannot see its parent go, so the system ends this process with it. */
void dieWithParent(const Napi::CallbackInfo&) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("OgvSession", OgvSession::define(env));
  exports.Set("rowOf", Napi::Function::New(env, rowOf));
  exports.Set("transposed", Napi::Function::New(env, transposed));
  exports.Set("roots", Napi::Function::New(env, roots));
  exports.Set("dots", Napi::Function::New(env, dots));
  exports.Set("cpu", Napi::Function::New(env, cpu));
  exports.Set("dieWithParent", Napi::Function::New(env, dieWithParent));
  defineDevices(env, exports);
  defineRefc1(env, exports);
  defineVendor(env, exports);
  return exports;
}

}  // namespace
}  // namespace graval

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return graval::init(env, exports); }
NODE_API_MODULE(graval, Init)
