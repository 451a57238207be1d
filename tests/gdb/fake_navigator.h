// A navigator that goes nowhere: it answers moves with stops given beforehand, and keeps what was asked.
#pragma once
#include <deque>
#include <string>
#include <vector>

#include "engine/registry.h"
#include "replay/navigator.h"
#include "targets/targets.h"
#include "tests/devices/fake_port.h"

namespace hindcast::gdb {

class FakeNavigator final : public replay::Navigator {
 public:
  explicit FakeNavigator(unsigned smp = 1, const std::string& cpu = "rv64") {
    targets::register_all();
    MachineConfig config;
    config.machine = "virt";
    config.cpu = cpu;
    config.smp = smp;
    config.memory_bytes = 1u << 20;
    config.files.push_back({"kernel", "image", kNever, {0x6f, 0, 0, 0}});
    EngineOptions engine;
    engine.jit = false;
    machine_ = Registry::instance().build(config, engine, port_);
  }

  Machine& machine() override { return *machine_; }
  Icount begin() const override { return 0; }
  Icount end() const override { return 1000; }
  Icount position() const override { return position_; }
  void on_output(std::function<void(Channel, ByteView)>) override {}
  void set_breakpoints(std::set<GuestAddr> pcs) override { breakpoints = std::move(pcs); }
  void set_watches(std::vector<AddressSpace::Watch> w) override { watches = std::move(w); }
  void set_filter(replay::StopFilter f) override { filter = std::move(f); }
  replay::NavStop seek(Icount icount) override {
    if (on_seek) on_seek();
    if (seeks_interrupted != 0) {
      --seeks_interrupted;
      return {replay::NavStop::Kind::Interrupted, 0, {}};
    }
    position_ = icount;
    calls.push_back("seek " + std::to_string(icount));
    return {};
  }
  replay::NavStop run(Icount) override { return next("run"); }
  replay::NavStop step(unsigned vcpu, u64) override { return next("step " + std::to_string(vcpu)); }
  replay::NavStop step_back(unsigned vcpu) override { return next("step_back " + std::to_string(vcpu)); }
  replay::NavStop run_back(bool access_here) override {
    return next(access_here ? "run_back" : "run_back, not here");
  }
  void request_stop() override { ++stop_requests; }

  /// The move after those given before ends so, at `position`.
  void will_stop(replay::NavStop stop, Icount position) { stops_.push_back({stop, position}); }

  std::set<GuestAddr> breakpoints;
  std::vector<AddressSpace::Watch> watches;
  replay::StopFilter filter;
  std::vector<std::string> calls;
  unsigned stop_requests = 0;
  /// Called in every move.
  std::function<void()> on_move, on_seek;
  /// So many seeks stay where they are.
  unsigned seeks_interrupted = 0;

 private:
  replay::NavStop next(const std::string& call) {
    calls.push_back(call);
    if (on_move) on_move();
    if (stops_.empty()) return {};
    const auto [stop, position] = stops_.front();
    stops_.pop_front();
    position_ = position;
    return stop;
  }

  test::FakePort port_;
  std::unique_ptr<Machine> machine_;
  Icount position_ = 500;
  std::deque<std::pair<replay::NavStop, Icount>> stops_;
};

}  // namespace hindcast::gdb
