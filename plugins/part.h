// What a part's process of an analysis and the one that put it to work tell each other.
#pragma once
#include <array>
#include <string>

#include "plugins/analyze.h"

namespace hindcast::plugins {

/// From a part's process; each is: kind, length (u64), bytes.
enum class PartMessage : u8 {
  Progress = 1,  // u64 instructions done, u64 bytes of text written by plugins
  Saved = 2,     // what the plugins have found out: the part is over
  Failed = 3,    // one line: instead of Saved
  Ended = 4,     // i32: a plugin has ended the run there with this status; before Saved
  Lost = 5,      // i32: an errno; text could not be written
  Written = 6,   // after Saved, and Lost: all text that can be written is; without it some is missing
};
inline constexpr std::size_t kPartHeader = 9;
/// The part's descriptors beside its standard output, where its text goes when it is its turn.
inline constexpr int kPartMessages = 3;
inline constexpr int kPartTurn = 4;    // a byte arrives: all text before this part's is written
inline constexpr int kPartBuffer = 5;  // a file in memory of kPartBufferSize bytes for the text that waits

/// Text that waits for its turn, at most; then the plugins wait. Divided by what plugins write for each
/// instruction this also bounds the length of parts.
inline constexpr std::size_t kPartText = std::size_t{256} << 20;
inline constexpr std::size_t kPartPiece = 64 << 10;
inline constexpr std::size_t kPartBufferSize = kPartText + kPartPiece;

void send_part_message(int fd, PartMessage kind, ByteView payload);

/// What a part's process is told, after the command line: "--part TEXT".
std::string to_text(const Part& part);
/// Fatal if it makes no sense.
Part parse_part(const std::string& text);
/// In a part's process: runs it. The exit status.
int serve_part(const std::string& path, PluginHost& host, const Part& part, AnalyzeOptions options);

}  // namespace hindcast::plugins
