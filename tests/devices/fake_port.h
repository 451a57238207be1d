// The outside world of device tests: keeps what was sent, answers from values set beforehand.
#pragma once
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/input_port.h"

namespace hindcast::test {

class FakePort final : public InputPort {
 public:
  Bytes answer(InputKind kind, Channel, ByteView request) override {
    ++answers[kind];
    Bytes reply;
    if (kind == InputKind::Disk) return disk(request);
    if (kind == InputKind::Entropy && request.size() == 4)
      for (unsigned i = 0; i < request[0]; ++i) reply.push_back(static_cast<u8>(16 * answers[kind] + i));
    if (kind == InputKind::RealTime)
      for (unsigned i = 0; i < real_time_bytes; ++i) reply.push_back(static_cast<u8>(real_time >> (8 * i)));
    return reply;
  }
  void ask(InputKind, Channel, ByteView) override {}
  void attach(Channel channel, InputKind kind, InputSink* sink) override { sinks[channel] = {kind, sink}; }
  void ready(Channel channel) override { ++readies[channel]; }
  void output(Channel channel, ByteView data) override { outputs[channel].append(data.begin(), data.end()); }

  /// Gives the sink as much of `text` as it takes now; what is left over is returned.
  std::string type(Channel channel, const std::string& text) {
    auto& [kind, sink] = sinks.at(channel);
    std::size_t part = std::min(text.size(), sink->receivable());
    if (part != 0) sink->receive(kind, {reinterpret_cast<const u8*>(text.data()), part});
    return text.substr(part);
  }

  /// The drives' bytes; what is not there cannot be read.
  std::vector<Bytes> drives;
  std::map<u8, unsigned> disk_operations;  // how many there were, by the first byte
  std::set<u8> refused_operations;         // the host's file does not take these
  u64 real_time = 0;
  unsigned real_time_bytes = 8;  // of the reply
  std::map<InputKind, unsigned> answers;
  std::map<Channel, std::pair<InputKind, InputSink*>> sinks;
  std::map<Channel, unsigned> readies;
  std::map<Channel, std::string> outputs;

 private:
  static u64 number(ByteView from, std::size_t at, unsigned size) {
    u64 value = 0;
    for (unsigned i = 0; i < size; ++i) value |= u64{from[at + i]} << (8 * i);
    return value;
  }
  Bytes disk(ByteView request) {
    if (request.size() < 17) return {};
    const u64 drive = number(request, 1, 4), offset = number(request, 5, 8), size = number(request, 13, 4);
    if (drive >= drives.size() || offset + size > drives[drive].size()) return {};
    const auto at = drives[drive].begin() + static_cast<std::ptrdiff_t>(offset);
    ++disk_operations[request[0]];
    if (refused_operations.contains(request[0])) return {};
    if (request[0] == kDiskRead) return Bytes(at, at + static_cast<std::ptrdiff_t>(size));
    if (request[0] == kDiskWrite) std::copy(request.begin() + 17, request.end(), at);
    if (request[0] == kDiskClear) std::fill_n(at, size, u8{0});
    return Bytes(1);
  }
};

}  // namespace hindcast::test
