// The server as a process: what a client, the guest's console and signals do to a live run.
#include "tests/gdb/server_fixture.h"

namespace hindcast::gdb {
namespace {

TEST_F(ServerTest, TheGuestRunsUntilSomebodySpeaksAndGoesOnAfterwards) {
  Child child({"record", "-o", rec(), listen(), guest("irq-fifo")}, folder);
  {
    Client silent(socket());
    std::this_thread::sleep_for(Ms(100));
    EXPECT_TRUE(child.running());
  }
  EXPECT_NE(child.err().find("gdb may connect: target remote"), std::string::npos);
  Client client(socket());
  EXPECT_TRUE(client.ask("?").starts_with("T05"));
  // It stands still.
  const std::string pc = client.ask("p20");
  std::this_thread::sleep_for(Ms(50));
  EXPECT_EQ(client.ask("p20"), pc);
  child.type("abc");
  EXPECT_EQ(client.ask("D"), "OK");
  child.type("defq");
  EXPECT_EQ(child.wait(), 0) << child.err();
  int status = -1;
  EXPECT_EQ(replayed(&status), child.out());
  EXPECT_EQ(status, 0);
  EXPECT_NE(child.out().find('f'), std::string::npos) << child.out();
}

TEST_F(ServerTest, AnInterruptIsAnsweredAtOnceWhetherTheGuestRunsOrSleeps) {
  // The guest is busy for some ticks, then asleep for some, in turn.
  Child child({"run", listen(), "--wait", guest("irq-fifo")}, folder);
  Client client(socket());
  EXPECT_TRUE(client.ask("?").starts_with("T05"));
  Ms worst(0);
  for (int i = 0; i < 20; ++i) {
    client.say("c");
    std::this_thread::sleep_for(Ms(5 + 3 * i));
    const auto asked = Clock::now();
    client.send("\x03");
    EXPECT_TRUE(client.hear().starts_with("T02"));
    worst = std::max(worst, std::chrono::duration_cast<Ms>(Clock::now() - asked));
  }
  EXPECT_LT(worst, Ms(500));
  client.say("k");
  EXPECT_EQ(child.wait(), 137) << child.err();
  EXPECT_NE(child.err().find("killed by the debugger"), std::string::npos) << child.err();
}

TEST_F(ServerTest, AnInterruptInOnePieceWithItsCommandIsNotLost) {
  Child child({"run", listen(), "--wait", guest("irq-fifo")}, folder);
  Client client(socket());
  EXPECT_TRUE(client.ask("?").starts_with("T05"));
  client.send("+" + frame("c") + "\x03");
  EXPECT_TRUE(client.hear().starts_with("T02"));
  // Not one that belongs to the command before.
  client.send("+" + frame("?") + frame("c"));
  EXPECT_TRUE(client.hear().starts_with("T02"));
  std::this_thread::sleep_for(Ms(100));
  client.send("\x03");
  EXPECT_TRUE(client.hear().starts_with("T02"));
  client.say("k");
  EXPECT_EQ(child.wait(), 137) << child.err();
}

TEST_F(ServerTest, ALostConnectionLosesNothing) {
  Child child({"record", "-o", rec(), listen(), guest("irq-fifo")}, folder);
  std::string pc;
  {
    Client client(socket());
    EXPECT_TRUE(client.ask("?").starts_with("T05"));
    pc = client.ask("p20");
  }
  std::this_thread::sleep_for(Ms(50));
  {
    // Stopped it was, and stopped it stays. This one is lost in the middle of a move.
    Client client(socket());
    EXPECT_EQ(client.ask("p20"), pc);
    client.say("c");
    std::this_thread::sleep_for(Ms(50));
  }
  Client client(socket());
  EXPECT_TRUE(client.ask("?").starts_with("T0"));
  EXPECT_TRUE(client.ask("bs").starts_with("T05"));
  EXPECT_NE(child.err().find("waits at icount"), std::string::npos);
  EXPECT_EQ(client.ask("D"), "OK");
  child.type("xq");
  EXPECT_EQ(child.wait(), 0);
  int status = -1;
  EXPECT_EQ(replayed(&status), child.out());
}

TEST_F(ServerTest, ASignalEndsARunThatStandsStill) {
  Child child({"record", "-o", rec(), listen(), "--wait", guest("irq-fifo")}, folder);
  Client client(socket());
  EXPECT_TRUE(client.ask("s").starts_with("T05"));
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(), 128 + SIGTERM);
  int status = -1;
  replayed(&status);
  EXPECT_EQ(status, 128 + SIGTERM);
}

TEST_F(ServerTest, AClientThatDoesNotReadKeepsNothingFromEnding) {
  Child child({"record", "-o", rec(), listen(), "--wait", guest("irq-fifo")}, folder);
  Client client(socket());
  EXPECT_TRUE(client.ask("?").starts_with("T05"));
  for (int i = 0; i < 200; ++i) client.say("m80000000,10000");
  std::this_thread::sleep_for(Ms(300));
  EXPECT_TRUE(child.running());
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(), 128 + SIGTERM);
}

TEST_F(ServerTest, ADeadSocketIsReplacedAndALivingOneIsNot) {
  for (int i = 0; i < 2; ++i) {
    Child child({"debug", listen(), guest("irq-fifo")}, folder);
    Client client(socket());
    EXPECT_TRUE(client.ask("?").starts_with("T0")) << child.err();
    int status = -1;
    EXPECT_NE(shell(std::string(HINDCAST_COMMAND) + " debug " + listen() + " " + guest("irq-fifo") + " 2>&1",
                    &status)
                  .find("in use"),
              std::string::npos);
    EXPECT_EQ(status, 125);
    EXPECT_TRUE(client.ask("?").starts_with("T0"));
    child.signal(SIGKILL);
    EXPECT_EQ(child.wait(), -SIGKILL);
    EXPECT_TRUE(fs::exists(socket()));
  }
}

TEST_F(ServerTest, GarbageDoesNoHarm) {
  Child child({"debug", listen(), guest("irq-fifo")}, folder);
  Client client(socket());
  std::string garbage;
  for (int i = 0; i < 100'000; ++i) garbage += static_cast<char>(i * 7919 >> 3);
  client.send(garbage);
  client.send("$zz#00$" + std::string(1'200'000, 'm') + "#00");
  client.hang_up();
  Client second(socket());
  EXPECT_TRUE(second.ask("?").starts_with("T0"));
  EXPECT_EQ(second.ask("vCont;s:99"), "E01");
  child.signal(SIGINT);
  EXPECT_EQ(child.wait(), 128 + SIGINT);
}

TEST_F(ServerTest, AnAddressThatCannotBeUsedLeavesNothingBehind) {
  int status = -1;
  const std::string said = shell(
      std::string(HINDCAST_COMMAND) + " record -o " + rec() + " --listen 1.2.3.4:x " + guest("irq-fifo"),
      &status);
  EXPECT_EQ(status, 125);
  EXPECT_NE(said.find("expected HOST:PORT"), std::string::npos) << said;
  EXPECT_FALSE(fs::exists(rec()));
}

}  // namespace
}  // namespace hindcast::gdb
