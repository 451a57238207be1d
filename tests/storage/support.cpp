#include "tests/storage/support.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

namespace hindcast::storage::test {

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "hindcast-storage-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
  std::filesystem::remove_all(path_, ignored);
}

bool same(const EventRecord& a, const EventRecord& b) {
  return a.icount == b.icount && a.seq == b.seq && a.kind == b.kind && a.channel == b.channel &&
         a.payload == b.payload;
}

Bytes random_bytes(std::mt19937_64& random, std::size_t size, unsigned values) {
  Bytes bytes(size);
  for (u8& byte : bytes) byte = static_cast<u8>(random() % values);
  return bytes;
}

EventRecord event_at(u64 icount, u32 seq, Bytes payload, u8 kind, u16 channel) {
  return {icount, seq, kind, channel, std::move(payload)};
}

std::vector<EventRecord> read_events(const Reader& reader, u64 from) {
  std::vector<EventRecord> events;
  reader.events(from, [&](const EventRecord& event) {
    events.push_back(event);
    return true;
  });
  return events;
}

void expect_equal(const Reader& reader, const Model& model) {
  EXPECT_EQ(reader.meta(), model.meta);
  EXPECT_EQ(reader.covered_icount(), model.covered);
  EXPECT_FALSE(reader.tail_torn());
  const auto events = read_events(reader);
  ASSERT_EQ(events.size(), model.events.size());
  for (std::size_t i = 0; i < events.size(); i++) ASSERT_TRUE(same(events[i], model.events[i])) << i;

  ASSERT_EQ(reader.begin().has_value(), model.begin.has_value());
  if (model.begin) {
    EXPECT_EQ(reader.begin()->icount, model.begin->icount);
    EXPECT_EQ(reader.begin()->seq, model.begin->seq);
    EXPECT_EQ(reader.begin()->root, model.begin->root);
  }

  const auto infos = reader.checkpoints();
  ASSERT_EQ(infos.size(), model.checkpoints.size());
  for (std::size_t i = 0; i < infos.size(); i++) {
    const CheckpointRecord& expected = model.checkpoints[i];
    EXPECT_EQ(infos[i].icount, expected.icount);
    EXPECT_EQ(infos[i].seq, expected.seq);
    EXPECT_EQ(infos[i].root, expected.root);
    const CheckpointRecord found = reader.checkpoint(expected.icount);
    EXPECT_EQ(found.root, expected.root);
    EXPECT_EQ(found.machine_state, expected.machine_state);
    ASSERT_EQ(found.blocks.size(), expected.blocks.size());
    for (std::size_t b = 0; b < found.blocks.size(); b++) {
      EXPECT_EQ(found.blocks[b].name, expected.blocks[b].name);
      EXPECT_EQ(found.blocks[b].base, expected.blocks[b].base);
      EXPECT_EQ(found.blocks[b].size, expected.blocks[b].size);
      EXPECT_EQ(found.blocks[b].pages, expected.blocks[b].pages);
    }
  }
  for (const auto& [id, content] : model.pages) EXPECT_EQ(reader.page(id), content);
  ASSERT_EQ(reader.blobs().size(), model.blobs.size());
  for (const auto& [name, content] : model.blobs) EXPECT_EQ(reader.blob(name), content);

  ASSERT_EQ(reader.end().has_value(), model.end.has_value());
  if (model.end) {
    EXPECT_EQ(reader.end()->icount, model.end->icount);
    EXPECT_EQ(reader.end()->reason, model.end->reason);
    EXPECT_EQ(reader.end()->exit_code, model.end->exit_code);
    EXPECT_EQ(reader.end()->state_root, model.end->state_root);
    EXPECT_EQ(reader.end()->output_hash, model.end->output_hash);
    EXPECT_EQ(reader.end()->output_bytes, model.end->output_bytes);
  }
  EXPECT_TRUE(reader.verify([](const std::string& line) { ADD_FAILURE() << line; }));
}

Contents read_all(const std::string& path) {
  const auto reader = Reader::open(path);
  Contents all;
  all.torn = reader->tail_torn();
  all.model.meta = reader->meta();
  all.model.end = reader->end();
  all.model.covered = reader->covered_icount();
  all.model.begin = reader->begin();
  const auto attempt = [&](const auto& work) {
    try {
      work();
    } catch (const StoreError& error) {
      if (all.error.empty()) all.error = error.what();
    }
  };
  attempt([&] {
    reader->events(0, [&](const EventRecord& event) {
      all.model.events.push_back(event);
      return true;
    });
  });
  attempt([&] {
    for (const CheckpointInfo& info : reader->checkpoints()) {
      attempt([&] {
        CheckpointRecord record = reader->checkpoint(info.icount);
        for (const CheckpointBlock& block : record.blocks) {
          for (const auto& [number, id] : block.pages) {
            if (!all.model.pages.contains(id)) all.model.pages[id] = reader->page(id);
          }
        }
        all.model.checkpoints.push_back(std::move(record));
      });
    }
  });
  attempt([&] {
    for (const std::string& name : reader->blobs())
      attempt([&] { all.model.blobs[name] = reader->blob(name); });
  });
  attempt([&] { reader->stats(); });
  all.sound = reader->verify([&](const std::string& line) {
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    if (all.error.empty()) all.error = line;
  });
  return all;
}

CheckpointBlock Memory::put(Writer& writer, Model* model, bool list_zero) const {
  CheckpointBlock block{name_, base_, bytes_.size(), {}};
  for (u64 page = 0; page < pages_of(bytes_.size()); page++) {
    const ByteView content(bytes_.data() + page * kPageSize, page_bytes(bytes_.size(), page));
    const bool zero = std::all_of(content.begin(), content.end(), [](u8 byte) { return byte == 0; });
    if (zero && !list_zero) continue;
    const PageId id = writer.put_page(content.data(), content.size());
    block.pages.emplace_back(page, id);
    if (model != nullptr) model->pages[id] = Bytes(content.begin(), content.end());
  }
  return block;
}

RandomRun::RandomRun(const std::string& path, u64 seed, WriterOptions options)
    : random_(seed), segmented_(options.segmented) {
  model.meta = random_bytes(random_, random_() % 500, 20);
  writer_ = Writer::create(path, model.meta, options);
  memory_.emplace_back("ram", 0x80000000, 300 * kPageSize);
  memory_.emplace_back("rom", 0x1000, 3 * kPageSize + 123);
  if (random_() % 2 == 0) {
    model.blobs["image/0"] = random_bytes(random_, random_() % 3000, 50);
    writer_->put_blob("image/0", model.blobs["image/0"]);
  }
  if (!segmented_) return;
  for (unsigned i = random_() % 3; i > 0; i--) append();
  flush();
  model.built = model.events.size();
  writer_->start_segment(true);
}

void RandomRun::append() {
  const bool same_place = random_() % 4 == 0;
  seq_ = same_place ? seq_ + 1 + random_() % 3 : random_() % 2;
  if (!same_place) icount_ += 1 + random_() % (u64{1} << random_() % 40);
  const std::size_t size = random_() % 60 == 0 ? random_() % 70000 : random_() % 8;
  pending.push_back(event_at(icount_, seq_, random_bytes(random_, size, 40), random_() % 4, random_() % 200));
  writer_->append(pending.back());
}

void RandomRun::flush() {
  icount_ += random_() % 3;
  if (random_() % 2 == 0) icount_ += random_() % 100000;
  if (!pending.empty() && icount_ != pending.back().icount) seq_ = 0;
  writer_->flush(icount_);
  model.events.insert(model.events.end(), pending.begin(), pending.end());
  if (segmented_) all_events.insert(all_events.end(), pending.begin(), pending.end());
  pending.clear();
  model.covered = icount_;
}

void RandomRun::checkpoint() {
  if (!model.checkpoints.empty() && model.checkpoints.back().icount >= icount_) icount_++;
  const bool starts = segmented_ && random_() % 2 == 0;
  if (starts) writer_->start_segment(false);
  CheckpointRecord record;
  record.icount = icount_;
  record.seq = segmented_ ? seq_ + 1 : seq_;
  record.machine_state = random_bytes(random_, 200 + random_() % 300, 9);
  for (Memory& memory : memory_) {
    for (unsigned i = random_() % 6; i > 0; i--) {
      memory.bytes()[random_() % memory.bytes().size()] = static_cast<u8>(random_() % 3);
    }
    record.blocks.push_back(memory.put(*writer_, &model));
  }
  record.root = checkpoint_root(record.machine_state, record.blocks);
  writer_->put_checkpoint(record);
  model.events.insert(model.events.end(), pending.begin(), pending.end());
  if (segmented_) {
    all_events.insert(all_events.end(), pending.begin(), pending.end());
    all_checkpoints.push_back(record);
  }
  pending.clear();
  model.covered = icount_;
  model.checkpoints.push_back(std::move(record));
  if (starts && writer_->segments().size() > 3) drop_segment();
}

void RandomRun::drop_segment() {
  writer_->drop_segment();
  const u64 begin = writer_->segments().front().begin_icount;
  std::erase_if(model.checkpoints, [&](const CheckpointRecord& record) { return record.icount < begin; });
  model.begin = model.checkpoints.front();
  const auto first = model.events.begin() + static_cast<std::ptrdiff_t>(model.built);
  model.events.erase(first, std::find_if(first, model.events.end(), [&](const EventRecord& event) {
                       return std::pair(event.icount, event.seq) >= std::pair(begin, model.begin->seq);
                     }));
  std::set<PageId> needed;
  for (const CheckpointRecord& record : model.checkpoints)
    for (const CheckpointBlock& block : record.blocks)
      for (const auto& [number, id] : block.pages) needed.insert(id);
  std::erase_if(model.pages, [&](const auto& page) { return !needed.contains(page.first); });
}

void RandomRun::step() {
  const auto pick = random_() % 100;
  if (pick < 70) {
    append();
  } else if (pick < 95) {
    flush();
  } else if (pick < 99) {
    checkpoint();
  } else {
    const std::string name = "blob/" + std::to_string(model.blobs.size());
    model.blobs[name] = random_bytes(random_, random_() % 20000, 30);
    writer_->put_blob(name, model.blobs[name]);
  }
}

void RandomRun::close() {
  EndRecord end;
  end.icount = icount_ + 5;
  end.reason = 2;
  end.exit_code = -7;
  end.state_root.fill(0x11);
  end.output_hash.fill(0x22);
  end.output_bytes = 77;
  writer_->close(end);
  model.end = end;
  model.events.insert(model.events.end(), pending.begin(), pending.end());
  if (segmented_) all_events.insert(all_events.end(), pending.begin(), pending.end());
  pending.clear();
  model.covered = end.icount;
}

std::map<std::string, std::string> snapshot(const std::string& path) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files[entry.path().filename()] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  return files;
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

}  // namespace hindcast::storage::test
