// The calls, as a guest makes them.
#include <fstream>
#include <random>

#include "tests/semihost/world.h"

namespace hindcast::semihost::test {
namespace {

enum : u32 {
  kOpen = 0x01,
  kClose,
  kWriteC,
  kWrite0,
  kWrite,
  kRead,
  kReadC,
  kIsError,
  kIsTty,
  kSeek,
  kFLen = 0x0c,
  kTmpNam,
  kRemove,
  kRename,
  kClock,
  kTime,
  kSystem,
  kErrno,
  kGetCmdLine = 0x15,
  kHeapInfo,
  kExit = 0x18,
  kExitExtended = 0x20,
  kElapsed = 0x30,
  kTickFreq
};
constexpr GuestAddr kEnd = kRam + kRamSize;

TEST_F(World, ConsoleOutput) {
  poke(kBuffer, "hello\n");
  EXPECT_EQ(call_with(kWrite0, kBuffer), 0);
  call_with(kWriteC, kBuffer + 1);
  i64 out = open(":tt", 4), err = open(":tt", 8);
  EXPECT_GT(out, 0);
  EXPECT_GT(err, out);
  EXPECT_EQ(call(kWrite, {static_cast<u64>(out), kBuffer, 2}), 0);
  EXPECT_EQ(call(kWrite, {static_cast<u64>(err), kBuffer + 2, 3}), 0);
  EXPECT_EQ(port.console, "hello\nehello");
  EXPECT_EQ(call(kIsTty, {static_cast<u64>(out)}), 1);
  EXPECT_EQ(call(kFLen, {static_cast<u64>(out)}), 0);
  EXPECT_EQ(call(kSeek, {static_cast<u64>(out), 0}), -1);
  EXPECT_EQ(call(kClose, {static_cast<u64>(out)}), 0);
  EXPECT_EQ(call(kWrite, {static_cast<u64>(out), kBuffer, 2}), 2);
  EXPECT_EQ(call_with(kErrno, 0), static_cast<i64>(Errno::BadHandle));
  EXPECT_EQ(port.answers, 0u);
}

TEST_F(World, StringsAtTheEdgeOfMemory) {
  std::string text(200, 'x');
  poke(kEnd - 201, text);
  EXPECT_EQ(call_with(kWrite0, kEnd - 201), 0);
  EXPECT_EQ(port.console, text);
  port.console.clear();
  u8 last = 'y';
  poke(kEnd - 1, &last, 1);  // no terminator before the end
  EXPECT_EQ(call_with(kWrite0, kEnd - 3), -1);
  EXPECT_EQ(port.console, "xxy");
}

TEST_F(World, LongWritesStopWhereMemoryEnds) {
  i64 out = open(":tt", 4);
  poke(kEnd - 10, "0123456789", 10);
  EXPECT_EQ(call(kWrite, {static_cast<u64>(out), kEnd - 10, 1000}), 990);
  EXPECT_EQ(call(kWrite, {static_cast<u64>(out), 0x1000, 1000}), 1000);
  EXPECT_EQ(port.console, "0123456789");
  port.console.clear();
  std::string page(4096, 'p');
  poke(kEnd - 4096, page.data(), page.size());
  EXPECT_EQ(call(kWrite, {static_cast<u64>(out), kEnd - 4096, ~u64{0} >> 1}),
            static_cast<i64>((~u64{0} >> 1) - 4096));
  EXPECT_EQ(port.console, page);
}

TEST_F(World, ConsoleReadsArePutOff) {
  i64 in = open(":tt", 0);
  EXPECT_EQ(call(kRead, {static_cast<u64>(in), kBuffer, 0}), 0);
  EXPECT_EQ(port.sink->receivable(), 0u);
  EXPECT_EQ(call(kRead, {static_cast<u64>(in), kBuffer, 100}), kParked);
  EXPECT_TRUE(machine.vcpu(0).parked());
  EXPECT_EQ(port.asked, (std::vector<u32>{100}));
  EXPECT_EQ(port.sink->receivable(), 100u);
  receive("abc");
  EXPECT_FALSE(machine.vcpu(0).parked());
  EXPECT_EQ(results()[0], 97u);
  EXPECT_EQ(peek(kBuffer, 3), "abc");
  EXPECT_EQ(call(kRead, {static_cast<u64>(in), kBuffer, 100}), kParked);
  receive("");  // end of file: nothing was read
  EXPECT_EQ(results()[0], 100u);
}

TEST_F(World, ReadCharacters) {
  EXPECT_EQ(call_with(kReadC, 0), kParked);
  EXPECT_EQ(port.asked, (std::vector<u32>{1}));
  receive("\xff");
  EXPECT_EQ(results()[0], 0xffu);
  EXPECT_EQ(call_with(kReadC, 0), kParked);
  receive("");
  EXPECT_EQ(results()[0], ~u64{0});
}

TEST_F(World, TwoReadersAreServedInTurn) {
  i64 in = open(":tt", 0);
  EXPECT_EQ(call(kRead, {static_cast<u64>(in), kBuffer, 8}, 1), kParked);
  EXPECT_EQ(call_with(kReadC, 0, 0), kParked);
  EXPECT_EQ(port.asked, (std::vector<u32>{8}));
  receive("12");
  EXPECT_EQ(results()[1], 6u);
  EXPECT_FALSE(machine.vcpu(1).parked());
  EXPECT_TRUE(machine.vcpu(0).parked());
  EXPECT_EQ(port.asked, (std::vector<u32>{8, 1}));
  receive("z");
  EXPECT_EQ(results()[0], static_cast<u64>('z'));
}

TEST_F(World, ReadsIntoBadMemoryAreErrors) {
  i64 in = open(":tt", 0);
  EXPECT_EQ(call(kRead, {static_cast<u64>(in), 0x1000, 4}), kParked);
  receive("abcd");
  EXPECT_EQ(results()[0], 4u);
  EXPECT_EQ(call_with(kErrno, 0), static_cast<i64>(Errno::Fault));
}

TEST_F(World, MoreThanWasAskedForIsRefused) {
  EXPECT_EQ(call_with(kReadC, 0), kParked);
  EXPECT_THROW(port.sink->receive(InputKind::SemihostConsole, Bytes{1, 2}), Fatal);
}

TEST_F(World, AWaitingReadSurvivesInSavedState) {
  i64 in = open(":tt", 0);
  EXPECT_EQ(call(kRead, {static_cast<u64>(in), kBuffer, 10}, 1), kParked);
  SaveArchive saved;
  service->state(saved);
  service->reset();
  EXPECT_EQ(port.sink->receivable(), 0u);
  receive("late");  // for a program that a reset has ended
  LoadArchive load(saved.bytes());
  service->state(load);
  EXPECT_TRUE(load.at_end());
  EXPECT_EQ(port.sink->receivable(), 10u);
  receive("abcd");
  EXPECT_EQ(results()[1], 6u);
  SaveArchive again;
  service->state(again);
  EXPECT_NE(again.bytes(), saved.bytes());
}

TEST_F(World, DamagedSavedStateIsRefused) {
  EXPECT_EQ(call_with(kReadC, 0, 1), kParked);
  SaveArchive saved;
  service->state(saved);
  for (std::size_t n = 0; n < saved.bytes().size(); ++n) {
    Bytes cut(saved.bytes().begin(), saved.bytes().begin() + static_cast<std::ptrdiff_t>(n));
    LoadArchive load(cut);
    EXPECT_THROW(service->state(load), Fatal);
  }
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    Bytes bad = saved.bytes();
    bad[random() % bad.size()] ^= 1u << random() % 8;
    try {
      LoadArchive load(bad);
      service->state(load);
      receive("");
      call(kWrite, {1, kBuffer, 4});
    } catch (const Fatal&) {
    }
  }
}

TEST_F(World, Files) {
  i64 file = open("notes", 6);
  ASSERT_GT(file, 0);
  u64 handle = static_cast<u64>(file);
  EXPECT_EQ(call(kIsTty, {handle}), 0);
  std::string text(150'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7 + i / 251);
  poke(kBuffer, text.data(), text.size());
  EXPECT_EQ(call(kWrite, {handle, kBuffer, text.size()}), 0);
  EXPECT_EQ(call(kFLen, {handle}), static_cast<i64>(text.size()));
  poke(kBuffer, std::string(text.size(), 'z').data(), text.size());
  EXPECT_EQ(call(kSeek, {handle, 1}), 0);
  EXPECT_EQ(call(kRead, {handle, kBuffer, 200'000}), 50'001);
  EXPECT_EQ(peek(kBuffer, text.size() - 1), text.substr(1));
  EXPECT_EQ(call(kRead, {handle, kBuffer, 10}), 10);  // end of file
  EXPECT_EQ(call(kSeek, {handle, ~u64{0}}), -1);
  EXPECT_EQ(call(kClose, {handle}), 0);
  EXPECT_EQ(call(kClose, {handle}), -1);

  poke(kName, "notes");
  poke(kName + 16, "other");
  EXPECT_EQ(call(kRename, {kName, 5, kName + 16, 5}), 0);
  EXPECT_EQ(open("notes", 0), -1);
  EXPECT_EQ(call_with(kErrno, 0), static_cast<i64>(Errno::NoEntry));
  poke(kName, "other");
  EXPECT_EQ(call(kRemove, {kName, 5}), 0);
  EXPECT_EQ(call(kRemove, {kName, 5}), -1);
  EXPECT_EQ(open("../other", 4), -1);
}

TEST_F(World, AppendingMovesToTheEnd) {
  std::ofstream(folder + "/log") << "start";
  u64 handle = static_cast<u64>(open("log", 10));
  poke(kBuffer, "more");
  EXPECT_EQ(call(kWrite, {handle, kBuffer, 4}), 0);
  EXPECT_EQ(call(kRead, {handle, kBuffer, 4}), 4);
  EXPECT_EQ(call(kSeek, {handle, 3}), 0);
  EXPECT_EQ(call(kRead, {handle, kBuffer, 6}), 0);
  EXPECT_EQ(peek(kBuffer, 6), "rtmore");
}

TEST_F(World, FilesKeepTheirPlaceInSavedState) {
  std::ofstream(folder + "/log") << "0123456789";
  u64 handle = static_cast<u64>(open("log", 0));
  EXPECT_EQ(call(kRead, {handle, kBuffer, 4}), 0);
  SaveArchive saved;
  service->state(saved);
  EXPECT_EQ(call(kRead, {handle, kBuffer, 4}), 0);
  LoadArchive load(saved.bytes());
  service->state(load);
  EXPECT_EQ(call(kRead, {handle, kBuffer, 4}), 0);
  EXPECT_EQ(peek(kBuffer, 4), "4567");
}

TEST_F(World, AResetClosesEverything) {
  u64 handle = static_cast<u64>(open("file", 4));
  service->reset();
  EXPECT_EQ(call(kWrite, {handle, kBuffer, 1}), 1);
  EXPECT_EQ(static_cast<u64>(open("file", 4)), handle);
}

TEST_F(World, HandlesRunOut) {
  for (unsigned i = 0; i < kMaxHandles; ++i) ASSERT_GT(open(":tt", 0), 0);
  EXPECT_EQ(open(":tt", 0), -1);
  EXPECT_EQ(call_with(kErrno, 0), static_cast<i64>(Errno::TooManyOpen));
  EXPECT_EQ(call(kClose, {7}), 0);
  EXPECT_EQ(open(":tt", 0), 7);
}

TEST_F(World, Features) {
  EXPECT_EQ(open(":semihosting-features", 4), -1);
  u64 handle = static_cast<u64>(open(":semihosting-features", 1));
  EXPECT_EQ(call(kFLen, {handle}), 5);
  EXPECT_EQ(call(kRead, {handle, kBuffer, 4}), 0);
  EXPECT_EQ(peek(kBuffer, 4), "SHFB");
  EXPECT_EQ(call(kRead, {handle, kBuffer, 4}), 3);
  EXPECT_EQ(peek(kBuffer, 1), "\x03");
  EXPECT_EQ(call(kRead, {handle, kBuffer, 4}), 4);
  EXPECT_EQ(call(kSeek, {handle, 0}), 0);
  EXPECT_EQ(call(kRead, {handle, kBuffer, 5}), 0);
  EXPECT_EQ(call(kWrite, {handle, kBuffer, 1}), 1);
}

TEST_F(World, TimeIsVirtual) {
  machine.clock().set_icount(1'250'000'000);  // at 2^3 ns: 10 s
  EXPECT_EQ(call_with(kClock, 0), 1000);
  EXPECT_EQ(call_with(kTickFreq, 0), 1'000'000'000);
  EXPECT_EQ(call_with(kElapsed, kBuffer), 0);
  EXPECT_EQ(get_word(kBuffer), 10'000'000'000u);
  EXPECT_EQ(port.answers, 0u);
  EXPECT_EQ(call_with(kTime, 0), 1'000'000);
  EXPECT_EQ(port.answers, 1u);
  convention.word_bytes = 4;
  EXPECT_EQ(call_with(kElapsed, kBuffer), 0);
  EXPECT_EQ(get_word(kBuffer), 10'000'000'000u & 0xffffffff);
  EXPECT_EQ(get_word(kBuffer + 4), 10'000'000'000u >> 32);
}

TEST_F(World, Environment) {
  EXPECT_EQ(call(kGetCmdLine, {kBuffer, 100}), 0);
  EXPECT_EQ(get_word(kBlock + 8), 17u);
  EXPECT_EQ(peek(kBuffer, 18), std::string("image.elf one two\0", 18));
  EXPECT_EQ(call(kGetCmdLine, {kBuffer, 18}), 0);
  EXPECT_EQ(call(kGetCmdLine, {kBuffer, 17}), -1);
  EXPECT_EQ(call(kHeapInfo, {kBuffer}), 0);
  EXPECT_EQ(get_word(kBuffer), kRam + 0x1000);
  EXPECT_EQ(get_word(kBuffer + 8), kEnd);
  EXPECT_EQ(get_word(kBuffer + 16), kEnd);
  EXPECT_EQ(get_word(kBuffer + 24), kRam + 0x1000);
  EXPECT_EQ(call(kTmpNam, {kBuffer, 7, 17}), 0);
  EXPECT_EQ(peek(kBuffer, 17), std::string("hindcast-tmp-007\0", 17));
  EXPECT_EQ(call(kTmpNam, {kBuffer, 7, 16}), -1);
  EXPECT_EQ(call(kTmpNam, {kBuffer, 256, 100}), -1);
  EXPECT_EQ(call(kSystem, {kBuffer, 2}), -1);
  EXPECT_EQ(call(kIsError, {static_cast<u64>(-3)}), 1);
  EXPECT_EQ(call(kIsError, {3}), 0);
  EXPECT_EQ(call_with(0x999, kBlock), -1);
  EXPECT_EQ(call_with(kErrno, 0), static_cast<i64>(Errno::NotImplemented));
}

struct ExitCase {
  unsigned word_bytes;
  u32 op;
  bool block;
  u64 reason, code;
  int expected;
};
class Exits : public World, public ::testing::WithParamInterface<ExitCase> {};
TEST_P(Exits, Code) {
  const ExitCase& c = GetParam();
  convention.word_bytes = c.word_bytes;
  EXPECT_FALSE(machine.exited());
  if (c.block)
    call(c.op, {c.reason, c.code});
  else
    call_with(c.op, c.reason);
  EXPECT_TRUE(machine.exited());
  EXPECT_EQ(machine.exit_code(), c.expected);
}
INSTANTIATE_TEST_SUITE_P(Semihosting, Exits,
                         ::testing::Values(ExitCase{8, kExit, true, 0x20026, 0, 0},
                                           ExitCase{8, kExit, true, 0x20026, 42, 42},
                                           ExitCase{8, kExit, true, 0x20023, 0, 1},   // run-time error
                                           ExitCase{8, kExit, false, 0x20026, 0, 1},  // not a pointer
                                           ExitCase{4, kExit, false, 0x20026, 0, 0},
                                           ExitCase{4, kExit, false, 0x20023, 0, 1},
                                           ExitCase{4, kExitExtended, true, 0x20026, 7, 7},
                                           ExitCase{4, kExitExtended, true, 0x20023, 7, 1},
                                           ExitCase{8, kExitExtended, true, 0x20026, 200, 200}));

TEST_F(World, WordsOfFourBytesAndBigEndian) {
  convention.word_bytes = 4;
  convention.big_endian = true;
  poke(kName, ":tt");
  i64 out = call(kOpen, {kName, 4, 3});
  ASSERT_GT(out, 0);
  poke(kBuffer, "big");
  EXPECT_EQ(call(kWrite, {static_cast<u64>(out), kBuffer, 3}), 0);
  EXPECT_EQ(port.console, "big");
  EXPECT_EQ(call(kIsError, {0xffffffff}), 1);
  EXPECT_EQ(call_with(kGetCmdLine, 0xffffffff00000000 | kBlock),
            -1);  // upper half of the register is not there
}

TEST_F(World, EveryCallSurvivesBadPointers) {
  for (u32 op = 0; op < 0x40; ++op) {
    if (op == kReadC || op == kExit || op == kExitExtended) continue;
    for (GuestAddr at : {GuestAddr{0}, kEnd, kEnd - 4, ~GuestAddr{0}, ~GuestAddr{0} - 3}) {
      i64 result = call_with(op, at);
      EXPECT_NE(result, kParked) << op;
    }
  }
}

// Calls with random words, the pointers among them good, bad and at the edges: every one answers, or waits.
TEST_F(World, RandomCalls) {
  std::mt19937_64 random(3);
  std::ofstream(folder + "/f") << "data";
  for (int i = 0; i < 30'000; ++i) {
    convention.word_bytes = random() % 2 != 0 ? 8 : 4;
    convention.big_endian = random() % 8 == 0;
    u32 op = static_cast<u32>(random() % 0x33);
    auto word = [&]() -> u64 {
      switch (random() % 6) {
        case 0: return random() % 12;
        case 1: return kName;
        case 2: return kEnd - random() % 100;
        case 3: return kBuffer + random() % 100;
        case 4: return random() % 300'000;
        default: return random();
      }
    };
    if (random() % 4 == 0) poke(kName, random() % 2 != 0 ? ":tt" : "f");
    u64 words[] = {word(), word(), word(), word()};
    for (unsigned w = 0; w < 4; ++w) put_word(kBlock + convention.word_bytes * w, words[w]);
    call_with(op, random() % 8 != 0 ? kBlock : word());
    if (machine.vcpu(0).parked()) {
      ASSERT_GT(port.sink->receivable(), 0u);
      receive(random() % 2 != 0 ? "q" : "");
      ASSERT_FALSE(machine.vcpu(0).parked());
    }
    if (random() % 100 == 0) service->reset();
    if (port.console.size() > 1u << 20) port.console.clear();
  }
}

// Calls come from translated code: nothing may be thrown through it.
TEST_F(World, DamagedRepliesAreErrorsOfTheGuest) {
  for (const Bytes& damaged : {Bytes{}, Bytes{1, 2, 3}}) {
    port.scripted = damaged;
    EXPECT_EQ(open("file", 0), -1);
    EXPECT_EQ(call_with(kErrno, 0), static_cast<i64>(Errno::Io));
    EXPECT_EQ(call_with(kTime, 0), -1);
  }
  port.scripted.reset();
  u64 handle = static_cast<u64>(open("file", 6));
  port.scripted = encode(Reply{Errno::None, 0, Bytes(100)});
  EXPECT_EQ(call(kRead, {handle, kBuffer, 10}), 10);
  port.scripted = encode(Reply{Errno::None, 0, Bytes{200, 0, 0, 0}});
  EXPECT_EQ(call(kWrite, {handle, kBuffer, 10}), 10);
  EXPECT_EQ(call_with(kErrno, 0), static_cast<i64>(Errno::Io));
}

}  // namespace
}  // namespace hindcast::semihost::test
