// Files that were changed or cut off after the writer was done: never a crash, never different data. Either a
// StoreError, or a true beginning of the recording, and then whatever is missing is reported by verify().
#include <algorithm>
#include <fstream>

#include "tests/storage/support.h"

namespace hindcast::storage::test {
namespace {

struct Sample {
  std::string name;
  Model model;
  std::map<std::string, std::string> files;
};

/// `bulk`: bytes of incompressible blob, to have the writer make tables.
/// `bulk` bytes more, in blobs of `piece` bytes: from 1 MiB on each has a table of its own.
Sample make_sample(const std::string& name, u64 seed, unsigned steps, std::size_t bulk, bool closed,
                   std::size_t piece = 900'000) {
  TempFolder folder;
  Sample sample;
  sample.name = name;
  {
    RandomRun run(folder / "rec", seed);
    std::mt19937_64 random(seed);
    for (std::size_t at = 0; at < bulk; at += piece) {
      const std::string name = "bulk/" + std::to_string(at);
      run.model.blobs[name] = random_bytes(random, std::min(piece, bulk - at));
      run.writer().put_blob(name, run.model.blobs[name]);
    }
    for (unsigned i = 0; i < steps; i++) run.step();
    if (closed) run.close();
    sample.model = run.model;
  }
  sample.files = snapshot(folder / "rec");
  return sample;
}

void write_folder(const std::string& path, const std::map<std::string, std::string>& files) {
  std::filesystem::remove_all(path);
  std::filesystem::create_directory(path);
  for (const auto& [name, content] : files) write_file(path + "/" + name, content);
}

/// What may be read from a damaged copy of `model`. Returns how it went: "refused", "part", "whole".
std::string check_damaged(const std::string& path, const Model& model) {
  Contents found;
  try {
    found = read_all(path);
  } catch (const StoreError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_NE(message.find(path), std::string::npos) << message;
    return "refused";
  }
  EXPECT_EQ(found.model.meta, model.meta);
  EXPECT_LE(found.model.events.size(), model.events.size());
  for (std::size_t i = 0; i < std::min(found.model.events.size(), model.events.size()); i++) {
    if (!same(found.model.events[i], model.events[i])) {
      ADD_FAILURE() << "event " << i << " differs";
      break;
    }
  }
  for (const CheckpointRecord& record : found.model.checkpoints) {
    const auto original = std::find_if(model.checkpoints.begin(), model.checkpoints.end(),
                                       [&](const auto& c) { return c.icount == record.icount; });
    if (original == model.checkpoints.end()) {
      ADD_FAILURE() << "a checkpoint that never was";
    } else {
      EXPECT_EQ(record.machine_state, original->machine_state);
      EXPECT_EQ(record.root, original->root);
    }
  }
  for (const auto& [id, content] : found.model.pages) EXPECT_EQ(content, model.pages.at(id));
  for (const auto& [name, content] : found.model.blobs) EXPECT_EQ(content, model.blobs.at(name));
  EXPECT_LE(found.model.covered, model.covered);
  if (found.model.end) {
    EXPECT_TRUE(model.end);
    EXPECT_EQ(found.model.end->output_hash, model.end->output_hash);
  }
  const bool whole = found.model.events.size() == model.events.size() &&
                     found.model.checkpoints.size() == model.checkpoints.size() &&
                     found.model.blobs.size() == model.blobs.size() && found.model.covered == model.covered &&
                     found.model.end.has_value() == model.end.has_value();
  if (!whole) {
    EXPECT_FALSE(found.sound) << "something is missing, and verify() did not see it";
  }
  if (found.error.empty()) {
    // Nothing complained while reading, so everything before the covered position must be there.
    const auto covered = std::count_if(model.events.begin(), model.events.end(),
                                       [&](const auto& event) { return event.icount < found.model.covered; });
    EXPECT_GE(found.model.events.size(), static_cast<std::size_t>(covered));
  }
  return whole ? "whole" : "part";
}

class Damage : public testing::Test {
 protected:
  static const std::vector<Sample>& samples() {
    static const std::vector<Sample> all = {
        make_sample("small, closed, in the log", 1, 90, 0, true),
        make_sample("small, killed, in the log", 2, 90, 0, false),
        make_sample("closed, in tables", 3, 120, 1100000, true),
        make_sample("closed, a blob in its own table", 4, 90, 1100000, true, 1100000),
    };
    return all;
  }
};

TEST_F(Damage, SamplesAreSoundUndamaged) {
  TempFolder folder;
  for (const Sample& sample : samples()) {
    write_folder(folder / "rec", sample.files);
    EXPECT_EQ(check_damaged(folder / "rec", sample.model), "whole") << sample.name;
  }
}

TEST_F(Damage, FlippedBytes) {
  TempFolder folder;
  std::mt19937_64 random(11);
  std::map<std::string, unsigned> outcomes;
  for (const Sample& sample : samples()) {
    write_folder(folder / "rec", sample.files);
    for (const auto& [name, content] : sample.files) {
      const unsigned flips = std::min<std::size_t>(content.size(), content.size() > 4096 ? 45 : 15);
      for (unsigned i = 0; i < flips; i++) {
        // The ends of files hold what everything else hangs on.
        std::size_t at = random() % content.size();
        if (i % 3 == 0) at = content.size() - 1 - random() % std::min<std::size_t>(content.size(), 200);
        if (i % 7 == 0) at = random() % std::min<std::size_t>(content.size(), 200);
        const auto flip = static_cast<char>(1 + random() % 255);
        SCOPED_TRACE(sample.name + ", " + name + " at " + std::to_string(at) + " ^ " + std::to_string(flip));
        std::string changed = content;
        changed[at] = static_cast<char>(changed[at] ^ flip);
        write_file(folder / "rec" + "/" + name, changed);
        outcomes[check_damaged(folder / "rec", sample.model)]++;
        if (HasFatalFailure() || HasNonfatalFailure()) return;
      }
      write_file(folder / "rec" + "/" + name, content);
    }
  }
  // All three must come up, or the test tests less than it says.
  EXPECT_GT(outcomes["refused"], 20u);
  EXPECT_GT(outcomes["part"], 20u);
  EXPECT_GT(outcomes["whole"], 20u);
}

/// What verify() says of a changed copy: nothing if it finds nothing.
std::string findings(const std::string& path) {
  std::string text;
  try {
    Reader::open(path)->verify([&](const std::string& line) { text += line + "\n"; });
  } catch (const StoreError& error) {
    text = error.what();
  }
  return text;
}

/// Offsets of a file: its ends, on which everything else hangs, and a spread of the rest.
std::vector<std::size_t> places(std::size_t size) {
  std::vector<std::size_t> all;
  for (std::size_t at = 0; at < size;
       at += at < 64 || size - at < 64 ? 1 : 1 + std::min(size / 90, size - at - 64))
    all.push_back(at);
  return all;
}

TEST_F(Damage, NoChangedByteIsMissed) {
  TempFolder folder;
  for (const bool tables : {false, true}) {
    const Sample sample = make_sample("", 21, 12, tables ? 1'100'000 : 0, true);
    write_folder(folder / "rec", sample.files);
    ASSERT_EQ(findings(folder / "rec"), "");
    for (const auto& [name, content] : sample.files) {
      std::vector<std::size_t> missed;
      for (const std::size_t at : places(content.size())) {
        const int flip = at % 3 == 0 ? 0x20 : at % 3 == 1 ? 0xff : 1;
        const auto put = [&](int value) {
          std::fstream file(folder / "rec" + "/" + name, std::ios::in | std::ios::out | std::ios::binary);
          file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(value));
        };
        put(content[at] ^ flip);
        if (findings(folder / "rec").empty()) missed.push_back(at);
        put(content[at]);
      }
      EXPECT_EQ(missed, std::vector<std::size_t>()) << name << " of " << content.size() << " bytes";
    }
  }
}

TEST_F(Damage, FilesCutOff) {
  TempFolder folder;
  std::mt19937_64 random(12);
  for (const Sample& sample : samples()) {
    write_folder(folder / "rec", sample.files);
    for (const auto& [name, content] : sample.files) {
      for (unsigned i = 0; i < 12 && !content.empty(); i++) {
        const std::size_t size = i == 0 ? 0 : i == 1 ? content.size() - 1 : random() % content.size();
        SCOPED_TRACE(sample.name + ", " + name + " cut to " + std::to_string(size));
        write_file(folder / "rec" + "/" + name, content.substr(0, size));
        check_damaged(folder / "rec", sample.model);
        if (HasFatalFailure() || HasNonfatalFailure()) return;
      }
      write_file(folder / "rec" + "/" + name, content);
    }
  }
}

TEST_F(Damage, FilesMissing) {
  TempFolder folder;
  for (const Sample& sample : samples()) {
    for (const auto& [name, content] : sample.files) {
      SCOPED_TRACE(sample.name + " without " + name);
      auto files = sample.files;
      files.erase(name);
      write_folder(folder / "rec", files);
      check_damaged(folder / "rec", sample.model);
    }
  }
}

TEST_F(Damage, BlocksZeroedAndSwapped) {
  TempFolder folder;
  std::mt19937_64 random(13);
  for (const Sample& sample : samples()) {
    write_folder(folder / "rec", sample.files);
    for (const auto& [name, content] : sample.files) {
      for (unsigned i = 0; i < 14 && content.size() > 2000; i++) {
        const std::size_t length = 1 + random() % 1000;
        const std::size_t at = random() % (content.size() - length);
        SCOPED_TRACE(sample.name + ", " + name + ": " + std::to_string(length) + " at " + std::to_string(at));
        std::string changed = content;
        if (i % 2 == 0) {
          std::fill_n(changed.begin() + static_cast<long>(at), length, '\0');
        } else {
          const std::size_t from = random() % (content.size() - length);
          std::copy_n(content.begin() + static_cast<long>(from), length,
                      changed.begin() + static_cast<long>(at));
        }
        write_file(folder / "rec" + "/" + name, changed);
        check_damaged(folder / "rec", sample.model);
        if (HasFatalFailure() || HasNonfatalFailure()) return;
      }
      write_file(folder / "rec" + "/" + name, content);
    }
  }
}

std::string log_of(const std::map<std::string, std::string>& files) {
  std::string log;
  for (const auto& [name, content] : files) {
    if (name.ends_with(".log")) log = name;
  }
  return log;
}

/// What opening says; empty if it opens. Only damage may be found.
std::string damage_of(const std::string& path) {
  try {
    Reader::open(path);
  } catch (const Damaged& error) {
    return error.what();
  }
  return "";
}

/// RocksDB with assertions ends the process at these: none may get that far.
TEST(DamageKinds, RecordsThatStandTwice) {
  TempFolder folder;
  for (const bool closed : {true, false}) {
    const Sample sample = make_sample("twice", 5, 90, 0, closed);
    const std::string log = log_of(sample.files), content = sample.files.at(log);
    auto files = sample.files;
    files[log] = content + content;
    write_folder(folder / "rec", files);
    EXPECT_NE(damage_of(folder / "rec").find(log + " repeats"), std::string::npos)
        << damage_of(folder / "rec");

    files = sample.files;
    files["999999.log"] = content;
    write_folder(folder / "rec", files);
    EXPECT_NE(damage_of(folder / "rec").find("999999.log repeats"), std::string::npos);

    // Only the last of the blocks of 32 KiB stands twice.
    files[log] = content + std::string((32768 - content.size() % 32768) % 32768, '\0') +
                 content.substr(content.size() / 32768 * 32768);
    files.erase("999999.log");
    write_folder(folder / "rec", files);
    check_damaged(folder / "rec", sample.model);
  }
}

TEST(DamageKinds, LogsInSeveralFilesAreNoDamage) {
  TempFolder folder;
  const Sample sample = make_sample("tables", 6, 120, 10000000, false);
  const auto is_log = [](const auto& file) { return file.first.ends_with(".log"); };
  ASSERT_GT(std::count_if(sample.files.begin(), sample.files.end(), is_log), 1);
  write_folder(folder / "rec", sample.files);
  EXPECT_EQ(damage_of(folder / "rec"), "");
  EXPECT_EQ(check_damaged(folder / "rec", sample.model), "whole");
}

TEST(DamageKinds, TellsDamageFromNeverBegunAndFromKilled) {
  TempFolder folder;
  const Sample sample = make_sample("closed", 7, 60, 0, true);
  const std::string log = log_of(sample.files);
  for (const std::size_t size : {0u, 7u, 10u}) {
    auto files = sample.files;
    files["RECORDING"].resize(size);
    write_folder(folder / "rec", files);
    EXPECT_NE(damage_of(folder / "rec").find("RECORDING is unreadable"), std::string::npos) << size;
  }
  for (const std::string& name : {log, std::string("CURRENT")}) {
    auto files = sample.files;
    files[name] = "";
    write_folder(folder / "rec", files);
    EXPECT_NE(damage_of(folder / "rec"), "") << name;
  }
  auto files = sample.files;
  files[log].resize(files[log].size() - 40);  // the end record stands last
  write_folder(folder / "rec", files);
  EXPECT_TRUE(Reader::open(folder / "rec")->end_lost());

  write_folder(folder / "rec", sample.files);
  EXPECT_FALSE(Reader::open(folder / "rec")->end_lost());
  const Sample killed = make_sample("killed", 8, 60, 0, false);
  write_folder(folder / "rec", killed.files);
  EXPECT_FALSE(Reader::open(folder / "rec")->end_lost());
}

TEST(DamageKinds, WhatIsNoFileOrFarTooLarge) {
  TempFolder folder;
  const Sample sample = make_sample("odd", 9, 30, 0, true);
  for (const std::string& name : {log_of(sample.files), std::string("RECORDING")}) {
    write_folder(folder / "rec", sample.files);
    const std::string file = folder / "rec" + "/" + name;
    std::filesystem::remove(file);
    std::filesystem::create_symlink("/etc/passwd", file);
    EXPECT_NE(damage_of(folder / "rec").find(name + " is not a plain file"), std::string::npos);

    write_folder(folder / "rec", sample.files);
    std::filesystem::resize_file(file, std::uintmax_t{100} << 30);
    EXPECT_NE(damage_of(folder / "rec").find(name + " is impossibly large"), std::string::npos);
  }
}

/// Damage in the middle of the log is named, and told apart from a tail that is cut off.
TEST(DamageKinds, MiddleAndTail) {
  TempFolder folder;
  Model model;
  {
    auto writer = Writer::create(folder / "rec", {}, {});
    std::mt19937_64 random(3);
    for (u64 i = 1; i <= 50; i++) {
      model.events.push_back(event_at(i * 100, 0, random_bytes(random, 300)));
      writer->append(model.events.back());
      writer->flush(i * 100);
    }
    model.covered = 5000;
  }
  const std::string log = log_of(snapshot(folder / "rec"));
  const std::string path = folder / "rec" + "/" + log, content = snapshot(folder / "rec").at(log);

  std::string changed = content;
  changed[content.size() / 2] ^= 1;
  write_file(path, changed);
  Contents found = read_all(folder / "rec");
  EXPECT_NE(found.error.find("is damaged after instruction"), std::string::npos) << found.error;
  EXPECT_GT(found.model.events.size(), 15u);
  EXPECT_LT(found.model.events.size(), 35u);

  write_file(path, content.substr(0, content.size() - 100));
  const auto reader = Reader::open(folder / "rec");
  EXPECT_TRUE(reader->tail_torn());
  EXPECT_EQ(read_events(*reader).size(), 49u);
  EXPECT_EQ(reader->covered_icount(), 4900u);
  EXPECT_FALSE(reader->verify([](const std::string&) {}));
}

}  // namespace
}  // namespace hindcast::storage::test
