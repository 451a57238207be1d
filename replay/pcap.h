// A capture file of the guest's network frames, for Wireshark and tcpdump.
#pragma once
#include <cstdio>
#include <string>

#include "replay/port_base.h"

namespace hindcast::replay {

/// Writes pcap with nanoseconds (link type Ethernet). The times are virtual, counted from power-on, so a
/// replay writes the same bytes as the run that it replays.
class PcapWriter {
 public:
  /// An empty path: nothing is written. Throws Fatal if the file cannot be written.
  explicit PcapWriter(const std::string& path);
  ~PcapWriter();
  PcapWriter(const PcapWriter&) = delete;
  PcapWriter& operator=(const PcapWriter&) = delete;
  /// All frames that pass through `port` from now on. The writer must outlive the port's use of it.
  void watch(PortBase& port);
  /// Closes the file. Throws Fatal if anything could not be written.
  void finish();

 private:
  void write(ByteView data);
  void add(VirtualNs when, ByteView frame);

  std::string path_;
  std::FILE* file_ = nullptr;
  int problem_ = 0;  // errno
};

}  // namespace hindcast::replay
