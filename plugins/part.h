// What a process that runs parts of an analysis and the one that put it to work tell each other.
#pragma once
#include <array>
#include <string>

#include "plugins/analyze.h"

namespace hindcast::plugins {

/// From the part's process, about the part that it runs; each is: kind, length (u64), bytes.
enum class PartMessage : u8 {
  Progress = 1,  // u64 instructions done, u64 bytes of text written by plugins
  Saved = 2,     // what the plugins have found out: the part is over
  Failed = 3,    // one line: instead of Saved
  Ended = 4,     // i32, text: a plugin has ended the run there with this status and message; before Saved
  Lost = 5,      // i32: an errno; text could not be written
  Written = 6,   // after Saved, and Lost: all text that can be written is; without it some is missing
};
inline constexpr std::size_t kPartHeader = 9;

/// To it. The end of the orders after the last part's text: there is no more to do.
struct PartOrder {
  enum class Kind : u8 {
    Turn = 1,  // all text before this part's is written
    Run = 2,   // where all plugins can begin again: another part, behind those that were ordered before
  };
  Kind kind = Kind::Turn;
  Part part;
};

/// Its descriptors beside its standard output, where its text goes when it is its turn.
inline constexpr int kPartMessages = 3;
inline constexpr int kPartOrders = 4;
inline constexpr int kPartBuffer = 5;  // a file in memory of kPartBufferSize bytes for the text that waits

/// Text that waits for its turn, at most; then the plugins wait. Divided by what plugins write for each
/// instruction this also bounds the length of parts. Where short parts are cheap
/// (PluginHost::keeps_blocks()): what fits into a cache; for long ones: enough that starting their processes
/// is worth it.
constexpr std::size_t part_text(bool cheap) { return std::size_t{cheap ? 2u : 256u} << 20; }
/// What a part may keep: more than expected, so that a part whose text is somewhat denser need not wait.
constexpr std::size_t most_part_text(bool cheap) { return cheap ? 2 * part_text(cheap) : part_text(cheap); }
inline constexpr std::size_t kPartPiece = 64 << 10;  // is written at once
inline constexpr std::size_t kPartBufferSize = part_text(false) + kPartPiece;

/// What the process is told first, after the command line: "--part TEXT".
std::string to_text(const Part& part);
/// Fatal if it makes no sense.
Part parse_part(const std::string& text);
/// In the process: runs it, and what is ordered afterwards. The exit status.
int serve_parts(const std::string& path, PluginHost& host, const Part& first, AnalyzeOptions options);

}  // namespace hindcast::plugins
