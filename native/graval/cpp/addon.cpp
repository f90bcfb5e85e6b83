// Node-API face of the engines. Every long call runs on a thread of its own and settles a promise; errors carry a `code`.
#include "arguments.h"
#include <chrono>
#include <sys/prctl.h>
#include <csignal>
#include <cstring>
#include <thread>
#include "check.h"
#include "devices.h"
#include "refc1.h"
#include "session.h"
#include "vendor.h"

namespace graval {
namespace {

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

/** cpu(): instruction set and threads of the CPU engine. */
Napi::Value cpu(const Napi::CallbackInfo& info) {
  auto out = Napi::Object::New(info.Env());
  out.Set("lanes", lanes()->name);
  out.Set("threads", std::max(1u, std::thread::hardware_concurrency()));
  return out;
}

/** useLanes(name): false where this processor does not have them. */
Napi::Value useOnly(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), useLanes(info[0].As<Napi::String>().Utf8Value().c_str()));
}

/** dieWithParent(): a call that blocks cannot see its parent go, so the system ends this process with it. */
void dieWithParent(const Napi::CallbackInfo&) { prctl(PR_SET_PDEATHSIG, SIGKILL); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("OgvSession", OgvSession::define(env));
  exports.Set("cpu", Napi::Function::New(env, cpu));
  exports.Set("useLanes", Napi::Function::New(env, useOnly));
  exports.Set("dieWithParent", Napi::Function::New(env, dieWithParent));
  defineCheck(env, exports);
  defineDevices(env, exports);
  defineRefc1(env, exports);
  defineVendor(env, exports);
  return exports;
}

}  // namespace
}  // namespace graval

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return graval::init(env, exports); }
NODE_API_MODULE(graval, Init)
