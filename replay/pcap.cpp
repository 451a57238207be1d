#include "replay/pcap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "replay/event_format.h"

namespace hindcast::replay {
namespace {

constexpr u32 kMagicNs = 0xa1b23c4d, kEthernet = 1, kSnapLength = 262144;
constexpr u16 kMajor = 2, kMinor = 4;
constexpr u64 kSecond = 1'000'000'000;

}  // namespace

PcapWriter::PcapWriter(const std::string& path) : path_(path) {
  if (path.empty()) return;
  file_ = std::fopen(path.c_str(), "wbe");
  if (file_ == nullptr) throw Fatal(fmt::format("--pcap: {}: {}", path_, std::strerror(errno)));
  Bytes header;
  put_le(header, kMagicNs, 4);
  put_le(header, kMajor, 2);
  put_le(header, kMinor, 2);
  put_le(header, 0, 8);  // time zone, accuracy
  put_le(header, kSnapLength, 4);
  put_le(header, kEthernet, 4);
  write(header);
}

PcapWriter::~PcapWriter() {
  if (file_ != nullptr) std::fclose(file_);
}

void PcapWriter::watch(PortBase& port) {
  if (file_ != nullptr) port.watch_frames([this](VirtualNs when, ByteView frame) { add(when, frame); });
}

void PcapWriter::finish() {
  if (file_ == nullptr) return;
  if (std::fclose(std::exchange(file_, nullptr)) != 0 && problem_ == 0) problem_ = errno;
  if (problem_ != 0) throw Fatal(fmt::format("--pcap: {}: {}", path_, std::strerror(problem_)));
}

void PcapWriter::add(VirtualNs when, ByteView frame) {
  const std::size_t kept = std::min<std::size_t>(frame.size(), kSnapLength);
  Bytes record;
  put_le(record, when / kSecond, 4);
  put_le(record, when % kSecond, 4);
  put_le(record, kept, 4);
  put_le(record, frame.size(), 4);
  write(record);
  write(frame.first(kept));
}

void PcapWriter::write(ByteView data) {
  if (problem_ == 0 && std::fwrite(data.data(), 1, data.size(), file_) != data.size()) problem_ = errno;
}

}  // namespace hindcast::replay
