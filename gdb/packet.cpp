#include "gdb/packet.h"

#include <fmt/format.h>

#include <algorithm>

namespace hindcast::gdb {
namespace {

constexpr char kInterrupt = 0x03;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

u8 checksum(std::string_view payload) {
  u8 sum = 0;
  for (char c : payload) sum = static_cast<u8>(sum + static_cast<u8>(c));
  return sum;
}

}  // namespace

void PacketReader::feed(std::string_view bytes) {
  buffer_.erase(0, read_);
  read_ = 0;
  buffer_.append(bytes);
}

std::optional<Item> PacketReader::next() {
  while (read_ < buffer_.size()) {
    const char c = buffer_[read_];
    if (skipping_ || c == '$') return next_packet();
    ++read_;
    if (c == '+') return Item{Item::Kind::Ack, {}};
    if (c == '-') return Item{Item::Kind::Nack, {}};
    if (c == kInterrupt) return Item{Item::Kind::Interrupt, {}};
  }
  return std::nullopt;
}

bool PacketReader::take_interrupt() {
  for (std::size_t at = read_; at < buffer_.size() && buffer_[at] != '$'; ++at) {
    if (buffer_[at] != kInterrupt) continue;
    buffer_.erase(at, 1);
    return true;
  }
  return false;
}

std::optional<Item> PacketReader::next_packet() {
  const std::string_view rest = std::string_view(buffer_).substr(read_);
  const std::size_t end = rest.find('#', scanned_);
  if (end == std::string::npos) {
    if (skipping_ || rest.size() > kMaxPacket + 1) {
      skipping_ = true;
      buffer_.clear();
      read_ = 0;
    }
    scanned_ = buffer_.size() - read_;
    return std::nullopt;
  }
  scanned_ = end;
  if (rest.size() < end + 3) return std::nullopt;  // the two digits of the checksum
  Item item;
  if (skipping_ || end > kMaxPacket + 1) {
    item.kind = Item::Kind::TooLong;
  } else {
    item.data = rest.substr(1, end - 1);
    const int high = digit(rest[end + 1]), low = digit(rest[end + 2]);
    if (!trusted_ && (high < 0 || low < 0 || checksum(item.data) != high * 16 + low)) {
      item.kind = Item::Kind::Damaged;
      item.data.clear();
    }
  }
  read_ += end + 3;
  scanned_ = 0;
  skipping_ = false;
  return item;
}

std::string frame(std::string_view payload) { return fmt::format("${}#{:02x}", payload, checksum(payload)); }

std::string escape(std::string_view data) {
  std::string out;
  out.reserve(data.size());
  for (char c : data) {
    if (c == '#' || c == '$' || c == '}' || c == '*') {
      out += '}';
      c = static_cast<char>(c ^ 0x20);
    }
    out += c;
  }
  return out;
}

std::string unescape(std::string_view data) {
  std::string out;
  out.reserve(data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (data[i] != '}')
      out += data[i];
    else if (++i < data.size())
      out += static_cast<char>(data[i] ^ 0x20);
  }
  return out;
}

std::string to_hex(std::string_view data) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(2 * data.size());
  for (char c : data) {
    out += kDigits[static_cast<u8>(c) >> 4];
    out += kDigits[static_cast<u8>(c) & 15];
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]), low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
  }
  return out;
}

std::optional<u64> Fields::number() {
  u64 value = 0;
  std::size_t used = 0;
  for (; used < rest_.size() && digit(rest_[used]) >= 0; ++used) {
    if (value >> 60 != 0) return std::nullopt;
    value = value << 4 | static_cast<u64>(digit(rest_[used]));
  }
  if (used == 0) return std::nullopt;
  rest_.remove_prefix(used);
  return value;
}

bool Fields::take(char c) {
  if (rest_.empty() || rest_.front() != c) return false;
  rest_.remove_prefix(1);
  return true;
}

bool Fields::take(std::string_view prefix) {
  if (!rest_.starts_with(prefix)) return false;
  rest_.remove_prefix(prefix.size());
  return true;
}

std::string_view Fields::until(char end) {
  const std::size_t at = std::min(rest_.find(end), rest_.size());
  const std::string_view field = rest_.substr(0, at);
  rest_.remove_prefix(std::min(at + 1, rest_.size()));
  return field;
}

std::string_view Fields::bytes(std::size_t count) {
  const std::string_view field = rest_.substr(0, count);
  rest_.remove_prefix(field.size());
  return field;
}

}  // namespace hindcast::gdb
