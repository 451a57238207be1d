// Recordings that were changed are found out: at the first wrong input or hash, with the place; and never
// crash.
#include "replay/event_format.h"
#include "tests/replay/world.h"

namespace hindcast::replay::test {
namespace {

using storage::EventRecord;

class Edited : public testing::Test {
 protected:
  void SetUp() override {
    record_to(folder_ / "rec", machine_of(echo_program(true)),
              std::make_shared<TypingConsole>("some keys t and t more q", 1));
  }
  std::string edited(const std::function<void(Edit&)>& change) {
    const std::string path = folder_ / ("edited" + std::to_string(count_++));
    copy_recording(folder_ / "rec", path, change);
    return path;
  }
  /// What replaying says; empty if it is content.
  std::string problem_of(const std::string& path) {
    try {
      replay_of(path);
    } catch (const Divergence& divergence) {
      return divergence.what();
    }
    return "";
  }
  /// The nth event of `kind`.
  static EventRecord& nth(Edit& edit, InputKind kind, std::size_t n) {
    for (EventRecord& event : edit.events)
      if (event.kind == static_cast<u8>(kind) && n-- == 0) return event;
    throw std::logic_error("the recording has fewer such events");
  }

  TempFolder folder_;
  int count_ = 0;
};

TEST_F(Edited, AnUnchangedCopyReplays) {
  EXPECT_EQ(problem_of(edited([](Edit&) {})), "");
}

TEST_F(Edited, AnotherByteIsFoundAtTheNextHash) {
  Icount changed = 0;
  const std::string path = edited([&](Edit& edit) {
    EventRecord& event = nth(edit, InputKind::Serial, 1);
    event.payload[0] ^= 1;
    changed = event.icount;
  });
  const std::string problem = problem_of(path);
  const Icount next = (changed / 65536 + 1) * 65536;
  EXPECT_NE(problem.find("icount " + std::to_string(next)), std::string::npos)
      << problem << ", changed at " << changed;
  EXPECT_NE(problem.find("pc 0x8000"), std::string::npos) << problem;
  EXPECT_NE(problem.find("recorded"), std::string::npos) << problem;
}

TEST_F(Edited, AByteLaterIsFound) {
  // Later by more than a round of the guest's polling loop.
  constexpr Icount kLater = 500;
  bool moved = false;
  EXPECT_NE(problem_of(edited([&](Edit& edit) {
              for (std::size_t i = 0; i + 1 < edit.events.size() && !moved; ++i) {
                moved = edit.events[i].kind == static_cast<u8>(InputKind::Serial) &&
                        edit.events[i + 1].icount > edit.events[i].icount + kLater;
                if (moved) edit.events[i].icount += kLater;
              }
            })),
            "");
  EXPECT_TRUE(moved);
}

TEST_F(Edited, AnAnswerThatWasNotRecordedIsFoundWhereItIsAskedFor) {
  std::string at;
  const std::string problem = problem_of(edited([&](Edit& edit) {
    EventRecord& event = nth(edit, InputKind::RealTime, 0);
    at = "icount " + std::to_string(event.icount);
    edit.events.erase(edit.events.begin() + (&event - edit.events.data()));
  }));
  EXPECT_NE(problem.find(at), std::string::npos) << problem;
  EXPECT_NE(problem.find("asks for 'realtime'"), std::string::npos) << problem;
}

TEST_F(Edited, AnAnswerThatNobodyAskedForIsFound) {
  std::string at;
  const std::string problem = problem_of(edited([&](Edit& edit) {
    EventRecord& event = nth(edit, InputKind::RealTime, 0);
    event.icount -= 1;
    event.seq = 0;
    at = "icount " + std::to_string(event.icount);
  }));
  EXPECT_NE(problem.find(at), std::string::npos) << problem;
}

TEST_F(Edited, AnAnswerToAnotherRequestIsFound) {
  const std::string problem =
      problem_of(edited([](Edit& edit) { nth(edit, InputKind::RealTime, 0).payload[0] ^= 1; }));
  EXPECT_NE(problem.find("request hash"), std::string::npos) << problem;
}

TEST_F(Edited, AnotherAnswerIsFound) {
  EXPECT_NE(problem_of(edited([](Edit& edit) { nth(edit, InputKind::RealTime, 0).payload[5] ^= 1; })), "");
}

TEST_F(Edited, InputForNobodyIsFound) {
  const std::string problem =
      problem_of(edited([](Edit& edit) { nth(edit, InputKind::Serial, 0).channel = 77; }));
  EXPECT_NE(problem.find("nobody receives on channel 77"), std::string::npos) << problem;
}

TEST_F(Edited, MoreInputThanTheDeviceTakesIsFound) {
  const std::string problem =
      problem_of(edited([](Edit& edit) { nth(edit, InputKind::Serial, 0).payload.resize(5000); }));
  EXPECT_NE(problem.find("can take"), std::string::npos) << problem;
}

TEST_F(Edited, AnotherEndIsFound) {
  EXPECT_NE(problem_of(edited([](Edit& edit) { edit.end->exit_code = 3; })).find("exit code"),
            std::string::npos);
  EXPECT_NE(problem_of(edited([](Edit& edit) { edit.end->output_hash[3] ^= 1; })).find("output"),
            std::string::npos);
  EXPECT_NE(problem_of(edited([](Edit& edit) { edit.end->state_root[3] ^= 1; })).find("memory"),
            std::string::npos);
}

TEST_F(Edited, OtherVersionsAreRefusedFirst) {
  const std::string path = edited([](Edit& edit) {
    std::string text(edit.meta.begin(), edit.meta.end());
    const std::string key = "\"model\":" + std::to_string(kModelVersion);
    text.replace(text.find(key), key.size(), "\"model\":77");
    edit.meta.assign(text.begin(), text.end());
  });
  try {
    replay_of(path);
    ADD_FAILURE() << "replayed a recording of model version 77";
  } catch (const Fatal& refused) {
    const std::string text = refused.what();
    EXPECT_NE(text.find("model version 77"), std::string::npos) << text;
    EXPECT_NE(text.find("this build has " + std::to_string(kModelVersion)), std::string::npos) << text;
  }
  EXPECT_EQ(info(path).model_version, 77u);
  EXPECT_THROW(verify(path, [](const std::string& line) { ADD_FAILURE() << line; }), Fatal);
}

TEST_F(Edited, NonsenseIsRefusedOrFoundAndNeverCrashes) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 80; ++round) {
    SCOPED_TRACE(round);
    const std::string path = edited([&](Edit& edit) {
      for (int n = 1 + static_cast<int>(random() % 3); n > 0; --n) {
        EventRecord& event = edit.events[random() % edit.events.size()];
        switch (random() % 6) {
          case 0: event.kind = static_cast<u8>(random()); break;
          case 1: event.channel = random() % 2 != 0 ? 0xff00 : static_cast<u16>(random() % 8); break;
          case 2: event.payload.resize(random() % 40); break;
          case 3:
            for (u8& byte : event.payload) byte = static_cast<u8>(random());
            break;
          case 4: event.payload.clear(); break;
          case 5: {
            // Stays in order: at most up to the next event.
            const std::size_t i = static_cast<std::size_t>(&event - edit.events.data());
            if (i + 1 < edit.events.size() && edit.events[i + 1].icount > event.icount + 1)
              event.icount += random() % (edit.events[i + 1].icount - event.icount - 1);
            break;
          }
        }
      }
      if (random() % 4 == 0) edit.end.reset();
    });
    try {
      replay_of(path);
    } catch (const Fatal& found) {
      EXPECT_NE(std::string(found.what()), "");
    } catch (const storage::StoreError& found) {
      EXPECT_NE(std::string(found.what()), "");
    }
    events(path, 0, kNever, [](const EventLine&) { return true; });
    verify(path, [](const std::string&) {});
    std::filesystem::remove_all(path);
  }
}

TEST_F(Edited, DamagedDescriptionsAreRefused) {
  std::mt19937_64 random(2);
  const Bytes meta = storage::Reader::open(folder_ / "rec")->meta();
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    const std::string path = edited([&](Edit& edit) {
      if (round % 2 == 0)
        edit.meta.resize(random() % meta.size());
      else
        edit.meta[random() % meta.size()] = static_cast<u8>(random());
    });
    try {
      replay_of(path);  // a changed digit may describe a machine that runs as well
    } catch (const Fatal&) {
    } catch (const storage::StoreError&) {
    }
    std::filesystem::remove_all(path);
  }
}

}  // namespace
}  // namespace hindcast::replay::test
