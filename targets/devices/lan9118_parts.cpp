#include <algorithm>
#include <utility>

#include "targets/devices/lan9118.h"

namespace hindcast::devices {
namespace {

// Command A and B (3.11.2).
constexpr u32 kInterrupt = u32{1} << 31, kFirst = 1u << 13, kLast = 1u << 12, kNoCheck = 1u << 13,
              kNoPadding = 1u << 12;
constexpr u32 kMaxLength = 0x7ff;

constexpr u8 kLoadable = 0xa5;

/// Words by which a buffer's or packet's end is rounded up: RX_CFG's and command A's two bits.
u32 round_up(u32 words, u32 how) {
  const u32 unit = how == 1 ? 4 : how == 2 ? 8 : 1;
  return (words + unit - 1) / unit * unit;
}

}  // namespace

// ---- Transmitter ---------------------------------------------------------------------------------------

Lan9118Transmitter::Written Lan9118Transmitter::write(u32 word, std::size_t room_bytes) {
  Written out;
  switch (next_) {
    case Next::CommandA:
      a_ = word;
      next_ = Next::CommandB;
      break;
    case Next::CommandB:
      b_ = word;
      begin_buffer(out);
      break;
    case Next::Data:
      if (room_bytes < 4) {
        out.overrun = true;
        break;
      }
      ++words_;
      take(word);
      if (--left_ == 0) end_buffer(out);
      break;
  }
  return out;
}

void Lan9118Transmitter::begin_buffer(Written& out) {
  const bool first = (a_ & kFirst) != 0;
  if (first != !open_ || (!first && ((b_ ^ first_b_) & 0xffff07ff) != 0)) bad_ = true;
  if (first) {
    frame_.clear();
    words_ = 0;
    first_b_ = b_;
    bad_ = open_;
    open_ = true;
  }
  size_ = a_ & kMaxLength;
  offset_ = a_ >> 16 & 31;
  left_ = round_up((offset_ + size_ + 3) / 4, a_ >> 24 & 3);
  next_ = Next::Data;
  if (left_ == 0) end_buffer(out);
}

void Lan9118Transmitter::take(u32 word) {
  for (unsigned i = 0; i < 4; ++i) {
    if (offset_ != 0) {
      --offset_;
    } else if (size_ != 0) {
      --size_;
      // More than any packet may have: it is bad already.
      if (frame_.size() <= kMaxLength) frame_.push_back(static_cast<u8>(word >> (8 * i)));
    }
  }
}

void Lan9118Transmitter::end_buffer(Written& out) {
  next_ = Next::CommandA;
  out.loaded_with_interrupt = (a_ & kInterrupt) != 0;
  if ((a_ & kLast) == 0) return;
  out.error = bad_ || !open_ || frame_.size() != (first_b_ & kMaxLength);
  if (!out.error)
    out.packet = Packet{std::move(frame_), static_cast<u16>(first_b_ >> 16), (first_b_ & kNoPadding) == 0,
                        (first_b_ & kNoCheck) != 0};
  frame_.clear();
  words_ = 0;
  open_ = bad_ = false;
}

void Lan9118Transmitter::state(Archive& ar) {
  ar.field("next", next_);
  for (u32* field : {&a_, &b_, &first_b_, &left_, &offset_, &size_, &words_}) ar.field("tx", *field);
  ar.field("open", open_);
  ar.field("bad", bad_);
  ar.blob("frame", frame_, kMaxLength + 1);
  if (!ar.loading()) return;
  constexpr u32 kMostWords = 1u << 16;  // far more than the FIFO holds
  if (next_ > Next::Data || left_ > kMostWords || words_ > kMostWords || (next_ == Next::Data && left_ == 0))
    throw Fatal("saved state: a transmitter that cannot be");
}

// ---- EEPROM --------------------------------------------------------------------------------------------

Lan9118Eeprom::Lan9118Eeprom(const MacAddress& mac) {
  bytes_.fill(0xff);
  bytes_[0] = kLoadable;
  std::copy(mac.begin(), mac.end(), bytes_.begin() + 1);
}

void Lan9118Eeprom::reset() {
  command_ = address() ? 0x100 : 0;  // it has been loaded
  data_ = 0;
  writable_ = false;
}

std::optional<MacAddress> Lan9118Eeprom::address() const {
  if (bytes_[0] != kLoadable) return std::nullopt;
  MacAddress mac;
  std::copy_n(bytes_.begin() + 1, mac.size(), mac.begin());
  return mac;
}

bool Lan9118Eeprom::run(u32 command) {
  constexpr u32 kBusy = u32{1} << 31, kLoaded = 0x100;
  command_ = (command & 0x700000ff) | (command_ & kLoaded);  // over at once
  if ((command & kBusy) == 0) return false;
  u8& byte = bytes_[command & 0x7f];
  switch (command >> 28 & 7) {
    case 0: data_ = byte; break;
    case 1: writable_ = false; break;
    case 2: writable_ = true; break;
    case 3:
      if (writable_) byte = static_cast<u8>(data_);
      break;
    case 4:
      if (writable_) bytes_.fill(static_cast<u8>(data_));
      break;
    case 5:
      if (writable_) byte = 0xff;
      break;
    case 6:
      if (writable_) bytes_.fill(0xff);
      break;
    default: return true;
  }
  return false;
}

void Lan9118Eeprom::state(Archive& ar) {
  ar.field("eeprom", bytes_);
  ar.field("command", command_);
  ar.field("data", data_);
  ar.field("writable", writable_);
}

// ---- PHY -----------------------------------------------------------------------------------------------

namespace {
constexpr MiiPhy::Kind kPhy = {0x3000, 0x7809, 0x0007, 0xc0d1};
constexpr u32 kEnergy = 17, kSource = 29, kMask = 30, kSpecial = 31;
}  // namespace

Lan9118Phy::Lan9118Phy(bool cable) : MiiPhy(kPhy, cable) {}

void Lan9118Phy::on_negotiated() { source_ |= 1u << 6; }

u32 Lan9118Phy::read_own(u32 n) {
  switch (n) {
    case kEnergy: return cable() ? 2 : 0;  // on the line
    case kSource: return std::exchange(source_, 0);
    case kMask: return mask_;
    case kSpecial: return negotiated() ? 0x1058 : 0x0040;  // 100 Mbit/s, full duplex
    default: return 0;
  }
}

void Lan9118Phy::write_own(u32 n, u32 value) {
  if (n == kMask) mask_ = value & 0xff;
}

void Lan9118Phy::state(Archive& ar) {
  MiiPhy::state(ar);
  ar.field("phy", source_);
  ar.field("phy", mask_);
  bool negotiated = this->negotiated();  // follows from the rest; saved states have it
  ar.field("negotiated", negotiated);
}

}  // namespace hindcast::devices
