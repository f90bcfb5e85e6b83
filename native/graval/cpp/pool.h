// Work shared by a fixed number of threads; the caller is one of them.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace graval {

class Pool {
 public:
  explicit Pool(unsigned threads) {
    for (unsigned i = 1; i < threads; i++) workers_.emplace_back([this] { serve(); });
  }
  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }
  unsigned threads() const { return (unsigned)workers_.size() + 1; }

  /** task(0) … task(count - 1), in any order; returns when all are done. Tasks must not throw. */
  void each(size_t count, const std::function<void(size_t)>& task) {
    if (workers_.empty() || count < 2) {
      for (size_t i = 0; i < count; i++) task(i);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = &task;
      count_ = count;
      next_ = 0;
      busy_ = workers_.size();
      round_++;
    }
    wake_.notify_all();
    drain(task, count);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void drain(const std::function<void(size_t)>& task, size_t count) {
    for (size_t i = next_++; i < count; i = next_++) task(i);
  }
  void serve() {
    size_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return ended_ || round_ != seen; });
      if (ended_) return;
      seen = round_;
      const auto* task = task_;
      const size_t count = count_;
      lock.unlock();
      drain(*task, count);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<size_t> next_{0};
  const std::function<void(size_t)>* task_ = nullptr;
  size_t count_ = 0, busy_ = 0, round_ = 0;
  bool ended_ = false;
};

}  // namespace graval
