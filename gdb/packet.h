// Packets of gdb's remote protocol ("Remote Protocol", appendix of the gdb manual): framing, checksums,
// escapes, hexadecimal. Knows nothing of what packets mean.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "engine/types.h"

namespace hindcast::gdb {

/// The longest packet that is taken and announced (PacketSize), between '$' and '#'.
inline constexpr std::size_t kMaxPacket = 1024 * 1024;

/// One thing that the client sent.
struct Item {
  enum class Kind : u8 {
    Packet,     // `data` is what stood between '$' and '#', still escaped
    Damaged,    // its checksum is wrong
    TooLong,    // it has more than kMaxPacket bytes
    Ack,        // '+'
    Nack,       // '-'
    Interrupt,  // 0x03: stop what runs
  };
  Kind kind = Kind::Packet;
  std::string data;
};

/// Cuts the client's bytes into items. What is none of them is skipped. Bounded in memory whatever arrives.
class PacketReader {
 public:
  void feed(std::string_view bytes);
  /// Nullopt: more bytes are needed.
  std::optional<Item> next();
  /// Whether an interrupt has come behind the packet that next() has given, before another; it is taken.
  bool take_interrupt();
  /// Both sides have agreed not to acknowledge: checksums are not looked at any more.
  void trust(bool trusted) { trusted_ = trusted; }

 private:
  std::optional<Item> next_packet();

  std::string buffer_;
  std::size_t read_ = 0;     // of the buffer: what is before has been taken
  std::size_t scanned_ = 0;  // of the packet that begins there
  bool skipping_ = false;    // inside a packet that is too long
  bool trusted_ = false;
};

/// "$payload#cc".
std::string frame(std::string_view payload);

/// Binary data inside a packet: '#', '$', '}' and '*' are sent as '}' and the byte xor 0x20.
std::string escape(std::string_view data);
/// A '}' at the end stands for nothing.
std::string unescape(std::string_view data);

std::string to_hex(std::string_view data);
/// Nullopt for an odd length or anything but hexadecimal digits.
std::optional<std::string> from_hex(std::string_view hex);

/// Reads a packet's fields from left to right. What does not match leaves the cursor where it was.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}
  /// A hexadecimal number of at most 64 bits.
  std::optional<u64> number();
  bool take(char c);
  bool take(std::string_view prefix);
  /// Up to the next `end`, which is consumed; everything if there is none.
  std::string_view until(char end);
  std::string_view bytes(std::size_t count);
  std::string_view rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace hindcast::gdb
