// Where two runs part: found to the instruction, whatever made the difference.
#include "replay/compare.h"

#include <algorithm>

#include "replay/event_format.h"
#include "replay/state_server.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

using Verdict = CompareReport::Verdict;

void record_keys(const std::string& path, const std::string& keys, u64 seed, Bytes program,
                 u64 grid = 1u << 16) {
  RecordOptions options;
  options.hash_grid = grid;
  record_to(path, machine_of(std::move(program)), std::make_shared<TypingConsole>(keys, seed), options);
}

/// The recording at `from` with other events, as another run would have had, and no hashes of the run that it
/// was.
void change_events(const std::string& from, const std::string& to,
                   const std::function<void(std::vector<storage::EventRecord>&)>& change) {
  copy_recording(from, to, [&](Edit& edit) {
    std::erase_if(edit.events, [](const auto& event) { return event.kind == kHashGrid; });
    change(edit.events);
    edit.end.reset();
  });
}

bool is_serial(const storage::EventRecord& event) { return event.kind == static_cast<u8>(InputKind::Serial); }

TEST(Compare, ARecordingIsTheSameAsItselfOnAnyEngine) {
  TempFolder folder;
  record_keys(folder / "a", "some keysq", 1, echo_program(true));
  CompareOptions options;
  EXPECT_EQ(compare(folder / "a", folder / "a", options).verdict, Verdict::Same);
  options.engine_b.jit = false;
  EXPECT_EQ(compare(folder / "a", folder / "a", options).verdict, Verdict::Same);
  options.engine_b.jit = true;
  options.engine_b.chaos_seed = 5;
  EXPECT_EQ(compare(folder / "a", folder / "a", options).verdict, Verdict::Same);
}

TEST(Compare, RecordingsOnDifferentGridsAreTheSame) {
  TempFolder folder;
  record_keys(folder / "a", "", 1, ticker_program(50, 3000), 1000);
  record_keys(folder / "b", "", 1, ticker_program(50, 3000), 700);
  EXPECT_EQ(compare(folder / "a", folder / "b", {}).verdict, Verdict::Same);
}

TEST(Compare, AnotherKeyShowsWhereItArrives) {
  TempFolder folder;
  record_keys(folder / "a", "some keys for youq", 1, echo_program(true));
  Icount where = 0;
  change_events(folder / "a", folder / "b", [&](auto& events) {
    auto it = std::find_if(events.begin() + static_cast<std::ptrdiff_t>(events.size()) / 2, events.end(),
                           is_serial);
    ASSERT_NE(it, events.end());
    it->payload[0] ^= 1;
    where = it->icount;
  });
  const CompareReport report = compare(folder / "a", folder / "b", {});
  ASSERT_EQ(report.verdict, Verdict::Differ);
  // The byte is in the UART before the instruction at its place runs.
  EXPECT_EQ(report.icount + 1, where);
  EXPECT_TRUE(report.by_input);
  ASSERT_TRUE(report.input_a && report.input_b);
  EXPECT_EQ(report.input_a->position.icount, where);
  EXPECT_NE(report.input_a->payload, report.input_b->payload);
  EXPECT_TRUE(report.registers.empty());
  ASSERT_FALSE(report.fields.empty());
  EXPECT_TRUE(report.words.empty());
  EXPECT_EQ(report.differing_pages, 0u);
}

/// Reads a byte from the serial port into x13, waits a while, forgets it and ends.
Bytes forgetful_program() {
  using A = Assembler;
  A a;
  const A::Label wait = a.label(), spin = a.label(), stay = a.label();
  a.lui(A::s0, 0x10000);
  a.bind(wait);
  a.lbu(A::a3, 5, A::s0);
  a.andi(A::a3, A::a3, 1);
  a.beq(A::a3, A::zero, wait);
  a.lbu(A::a3, 0, A::s0);
  a.addi(A::t0, A::zero, 1000);
  a.bind(spin);
  a.addi(A::t0, A::t0, -1);
  a.bne(A::t0, A::zero, spin);
  a.addi(A::a3, A::zero, 0);
  a.lui(A::s0, 0x100);
  a.lui(A::t0, 5);
  a.addi(A::t0, A::t0, 0x555);
  a.sw(A::t0, 0, A::s0);
  a.bind(stay);
  a.j(stay);
  return a.take();
}

TEST(Compare, AnInputThatIsForgottenIsFoundToo) {
  TempFolder folder;
  record_keys(folder / "a", "x", 1, forgetful_program());
  Icount where = 0;
  change_events(folder / "a", folder / "b", [&](auto& events) {
    const auto it = std::find_if(events.begin(), events.end(), is_serial);
    ASSERT_NE(it, events.end());
    it->payload[0] ^= 1;
    where = it->icount;
  });
  const CompareReport report = compare(folder / "a", folder / "b", {});
  ASSERT_EQ(report.verdict, Verdict::Differ);
  EXPECT_EQ(report.icount + 1, where);
  EXPECT_TRUE(report.by_input);
}

TEST(Compare, ADifferenceInMemoryIsListed) {
  TempFolder folder;
  record_keys(folder / "a", "keysq", 1, echo_program(true));
  Bytes write;
  put_le(write, 0x80700010, 8);
  write.push_back(0x5a);
  change_events(folder / "a", folder / "a2", [](auto&) {});
  change_events(folder / "a", folder / "b", [&](auto& events) {
    const auto at = std::find_if(events.begin(), events.end(), [](const auto& e) { return e.icount > 200; });
    events.insert(at, {150, 0, static_cast<u8>(InputKind::MemoryWrite), 0, write});
  });
  const CompareReport report = compare(folder / "a2", folder / "b", {});
  ASSERT_EQ(report.verdict, Verdict::Differ);
  EXPECT_EQ(report.icount, 149u);
  EXPECT_TRUE(report.by_input);
  ASSERT_EQ(report.words.size(), 1u);
  EXPECT_EQ(report.words[0].address, 0x80700010u);
  EXPECT_EQ(report.words[0].a, 0u);
  EXPECT_EQ(report.words[0].b, 0x5au);
  EXPECT_EQ(report.differing_pages, 1u);
}

TEST(Compare, TheInstructionThatMakesTheDifferenceIsFound) {
  TempFolder folder;
  record_keys(folder / "a", "some keys before t and after itq", 1, echo_program(true));
  Icount where = 0;
  change_events(folder / "a", folder / "b", [&](auto& events) {
    // What the clock answered to the second 't'.
    for (auto& event : events)
      if (event.kind == static_cast<u8>(InputKind::RealTime)) {
        where = event.icount;
        event.payload[4 + 2] ^= 1;
        break;
      }
  });
  ASSERT_NE(where, 0u);
  const CompareReport report = compare(folder / "a", folder / "b", {});
  ASSERT_EQ(report.verdict, Verdict::Differ);
  EXPECT_EQ(report.icount, where);
  EXPECT_EQ(report.insn.substr(0, 3), "lwu");
  EXPECT_FALSE(report.by_input);
  ASSERT_EQ(report.registers.size(), 1u);
  EXPECT_EQ(report.registers[0].name, "vcpu0.x13");
  ASSERT_TRUE(report.input_a);
  EXPECT_EQ(report.input_a->position.icount, where);
  // That the recorded hashes point at it changes nothing.
  copy_recording(folder / "a", folder / "c", [&](Edit& edit) {
    for (auto& event : edit.events) {
      if (event.kind == kHashGrid && event.icount > where) event.payload[0] ^= 1;
      if (event.icount == where && !is_serial(event)) event.payload[4 + 2] ^= 1;
    }
  });
  EXPECT_EQ(compare(folder / "a", folder / "c", {}).icount, where);
}

TEST(Compare, OneMayEndEarlier) {
  TempFolder folder;
  record_keys(folder / "a", "keysq", 1, echo_program(true));
  copy_recording(folder / "a", folder / "b", [](Edit&) {});
  EXPECT_EQ(compare(folder / "a", folder / "b", {}).verdict, Verdict::Same);
  HostOptions host = host_with(std::make_shared<TypingConsole>("", 1));
  for (Icount most : {Icount{10'000}, Icount{20'000}}) {
    host.max_icount = most;
    host.console = std::make_shared<TypingConsole>("", 1);
    RecordOptions options;
    options.path = folder / std::to_string(most);
    record(machine_of(echo_program(true)), host, options);
  }
  const CompareReport report = compare(folder / "10000", folder / "20000", {});
  EXPECT_EQ(report.verdict, Verdict::Lengths);
  EXPECT_EQ(report.icount, 10'000u);
}

TEST(Compare, DifferentMachinesDifferFromTheStart) {
  TempFolder folder;
  record_keys(folder / "a", "q", 1, echo_program(true));
  record_keys(folder / "b", "q", 1, echo_program(false));
  const CompareReport report = compare(folder / "a", folder / "b", {});
  EXPECT_EQ(report.verdict, Verdict::Differ);
  EXPECT_TRUE(report.from_start);
  EXPECT_FALSE(report.words.empty());
}

TEST(Compare, AProgramThatIsNoHindcastIsRefused) {
  TempFolder folder;
  record_keys(folder / "a", "q", 1, echo_program(true));
  CompareOptions options;
  for (const char* program : {"/bin/false", "/bin/echo", "/nowhere/hindcast"}) {
    options.other_program = program;
    EXPECT_THROW(compare(folder / "a", folder / "a", options), Fatal) << program;
  }
}

TEST(StateServer, AnswersWhatItUnderstands) {
  TempFolder folder;
  record_keys(folder / "a", "q", 1, echo_program(true));
  StateServer server(folder / "a", {});
  EXPECT_NE(server.answer("hello").find("\"states\":1"), std::string::npos);
  EXPECT_EQ(server.answer("hash 100"), server.answer("hash 100"));
  EXPECT_NE(server.answer("hash 100"), server.answer("hash 101"));
  EXPECT_NE(server.answer("dump 100").find("\"x10\""), std::string::npos);
  EXPECT_EQ(server.answer("memory 100 2147483648 2").size(),
            std::string(R"({"at":100,"bytes":"0000"})").size());
  for (const char* bad : {"", "hash", "hash x", "hash 99999999999", "sing 5", "memory 5", "memory 5 0 1",
                          "memory 5 0 99999999"})
    EXPECT_NE(server.answer(bad).find("\"error\""), std::string::npos) << bad;
}

}  // namespace
}  // namespace hindcast::replay::test
