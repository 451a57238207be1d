// A session over a navigator that goes nowhere, as the fixture of tests.
#pragma once
#include <gtest/gtest.h>

#include "gdb/session.h"
#include "tests/gdb/fake_navigator.h"

namespace hindcast::gdb {

inline constexpr GuestAddr kRam = 0x80000000;

class SessionTest : public testing::Test {
 protected:
  using Kind = replay::NavStop::Kind;

  explicit SessionTest(unsigned smp = 2, const std::string& cpu = "rv64")
      : navigator(smp, cpu), session(navigator, {nullptr, {1, 2, 3, '#'}}) {
    session.begin();
    session.on_notice([this](const std::string& line) { notices.push_back(line); });
  }
  std::string ask(const std::string& packet) { return session.handle(packet).value_or("<none>"); }
  void set_pc(unsigned vcpu, GuestAddr pc) { navigator.machine().vcpu(vcpu).set_pc(pc); }
  void store(GuestAddr at, u32 value) { navigator.machine().memory().host_write(at, &value, 4); }
  replay::NavStop watch_stop(GuestAddr at, u64 before, u64 after, bool store, unsigned vcpu = 0) {
    replay::NavStop stop{Kind::Watchpoint, vcpu, {}};
    stop.watch = AddressSpace::WatchHit{at, 4, store, before, after};
    return stop;
  }
  bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

  FakeNavigator navigator;
  Session session;
  std::vector<std::string> notices;
};

}  // namespace hindcast::gdb
