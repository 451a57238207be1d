#include "targets/devices/lan9118.h"

#include <algorithm>
#include <array>

#include "targets/devices/down_counter.h"
#include "targets/devices/model_registry.h"
#include "targets/devices/word_registers.h"

namespace hindcast::devices {
namespace {

constexpr u32 kRxDataEnd = 0x20, kTxDataEnd = 0x40, kRxStatus = 0x40, kRxStatusPeek = 0x44, kTxStatus = 0x48,
              kTxStatusPeek = 0x4c, kId = 0x50, kIrqConfig = 0x54, kIrqStatus = 0x58, kIrqEnable = 0x5c,
              kByteTest = 0x64, kFifoInterrupts = 0x68, kRxConfig = 0x6c, kTxConfig = 0x70, kHardware = 0x74,
              kRxControl = 0x78, kRxInfo = 0x7c, kTxInfo = 0x80, kPower = 0x84, kGpio = 0x88, kTimer = 0x8c,
              kTimerCount = 0x90, kEndian = 0x98, kFreeRunning = 0x9c, kDropped = 0xa0, kMacCommand = 0xa4,
              kMacData = 0xa8, kFlow = 0xac, kEeprom = 0xb0, kEepromData = 0xb4, kEnd = 0x100;
constexpr u32 kReady = 1;
// INT_STS and INT_EN.
constexpr u32 kSoftwareInterrupt = u32{1} << 31, kTxStopped = 1u << 25, kRxStopped = 1u << 24,
              kTxComplete = 1u << 21, kTimerInterrupt = 1u << 19, kPhyInterrupt = 1u << 18,
              kRxError = 1u << 14, kTxError = 1u << 13, kTxOverrun = 1u << 10, kTxRoom = 1u << 9,
              kTxStatusFull = 1u << 8, kTxStatusLevel = 1u << 7, kRxStatusFull = 1u << 4,
              kRxStatusLevel = 1u << 3;
// The MAC's registers.
constexpr u32 kMacControl = 1, kAddressHigh = 2, kAddressLow = 3, kHashHigh = 4, kHashLow = 5, kMiiAccess = 6,
              kMiiData = 7;
constexpr u32 kReceiveAll = u32{1} << 31, kLoopback = 1u << 21, kAllGroups = 1u << 19,
              kPromiscuous = 1u << 18, kInverse = 1u << 17, kHashOnly = 1u << 15, kHash = 1u << 13,
              kNoBroadcast = 1u << 11, kTxEnable = 1u << 3, kRxEnable = 1u << 2;
constexpr u32 kTxOn = 2, kTxStop = 1, kTxStatusOverrun = 4;

constexpr std::size_t kTxStatusWords = 128;
constexpr u64 kTimerHz = 10'000;

class Lan9118 final : public EthernetController {
 public:
  Lan9118(std::string name, const DeviceSite& site)
      : EthernetController(std::move(name), site),
        eeprom_(burnt_in_),
        phy_(cable_),
        timer_(site.machine, site.name + ".timer", kTimerHz, [this] {
          registers_[kIrqStatus / 4] |= kTimerInterrupt;
          settle();
        }) {}

  void reset() override {
    registers_ = {};
    registers_[kFifoInterrupts / 4] = 0x48000000;
    registers_[kHardware / 4] = 0x00050000;
    registers_[kGpio / 4] = 0x70070000;
    registers_[kTimer / 4] = 0xffff;
    mac_ = {0, 0x40000};
    eeprom_.reset();
    load_address();
    phy_.reset();
    timer_.stop(0xffff);
    drop_received();
    tx_.clear();
    waiting_.clear();
    tx_status_.clear();
    settle();
  }
  void state(Archive& ar) override;

  // From the wire.
  std::size_t receivable() const override {
    if ((mac_[kMacControl] & kRxEnable) == 0 || rx_status_.size() >= rx_status_words()) return 0;
    constexpr std::size_t kCheck = 4, kMostPadding = 31, kMost = 2044;
    const std::size_t taken = 4 * rx_data_.size() + kCheck + kMostPadding + rx_offset();
    return std::min(rx_data_bytes() - std::min(rx_data_bytes(), taken), kMost);
  }

 private:
  u32 read_word(u32 at) override;
  void write_word(u32 at, u32 value) override;
  u32 read_register(u32 at);
  void write_register(u32 at, u32 value);
  void mac_command(u32 command);
  void write_mac(u32 n, u32 value);
  void load_address();

  // Sizes as HW_CFG divides the 16 KiB (5.3.9).
  std::size_t tx_kib() const { return std::clamp<u32>(registers_[kHardware / 4] >> 16 & 15, 2, 14); }
  std::size_t tx_data_bytes() const { return tx_kib() * 1024 - 4 * kTxStatusWords; }
  std::size_t rx_data_bytes() const { return (16 - tx_kib()) * 960; }
  std::size_t rx_status_words() const { return (16 - tx_kib()) * 16; }
  std::size_t rx_offset() const { return registers_[kRxConfig / 4] >> 8 & 31; }

  bool passes(ByteView frame, bool* filtered) const;
  void take_frame(ByteView frame) override;
  u32 read_data();
  void fast_forward();
  void drop_received() {
    rx_data_.clear();
    rx_status_.clear();
    packets_.clear();
  }

  std::size_t tx_room() const;
  void write_data(u32 word);
  void transmit();
  void send(Lan9118Transmitter::Packet packet);

  /// Which levels of FIFOs are beyond what FIFO_INT says.
  u32 levels() const {
    const u32 wanted = registers_[kFifoInterrupts / 4];
    u32 out = 0;
    if (rx_status_.size() > (wanted & 0xff)) out |= kRxStatusLevel;
    if (rx_status_.size() >= rx_status_words()) out |= kRxStatusFull;
    if (tx_status_.size() > (wanted >> 16 & 0xff)) out |= kTxStatusLevel;
    if (tx_status_.size() >= kTxStatusWords) out |= kTxStatusFull;
    if (tx_room() > 64 * (wanted >> 24)) out |= kTxRoom;
    return out;
  }
  /// Something has come into a FIFO, or room: that is when its level is told of. An interrupt that the driver
  /// has taken back does not come again for what it has been told of already, until it asks anew.
  void tell(u32 which) { registers_[kIrqStatus / 4] |= levels() & which; }
  void settle() override {
    if (phy_.interrupt()) registers_[kIrqStatus / 4] |= kPhyInterrupt;
    const bool on = (registers_[kIrqConfig / 4] & 0x100) != 0;
    irq_.set(on && pending());
  }
  bool pending() const { return (registers_[kIrqStatus / 4] & registers_[kIrqEnable / 4]) != 0; }

  std::array<u32, kEnd / 4> registers_{};
  std::array<u32, 13> mac_{};
  Lan9118Eeprom eeprom_;
  Lan9118Phy phy_;
  DownCounter timer_;
  WordFifo rx_data_, rx_status_, tx_status_;
  std::deque<u32> packets_;  // words left of each packet in rx_data_
  Lan9118Transmitter tx_;
  std::deque<Lan9118Transmitter::Packet> waiting_;  // for the transmitter to be on
};

// ---- Receiving -----------------------------------------------------------------------------------------

bool Lan9118::passes(ByteView frame, bool* filtered) const {
  const u32 control = mac_[kMacControl];
  const MacAddress own = address_of(mac_[kAddressLow], mac_[kAddressHigh]);
  const unsigned hash = group_hash(frame.first(6));
  const bool hashed = (mac_[hash >= 32 ? kHashHigh : kHashLow] >> (hash & 31) & 1) != 0;
  bool pass;
  if ((control & kPromiscuous) != 0)
    pass = true;
  else if (is_broadcast(frame))
    pass = (control & kNoBroadcast) == 0;
  else if (is_group(frame))
    pass = (control & kAllGroups) != 0 || ((control & kHash) != 0 && hashed);
  else if ((control & kHash) != 0 && (control & kHashOnly) != 0)
    pass = hashed;
  else
    pass = is_for(frame, own) != ((control & kInverse) != 0);
  *filtered = !pass;
  return pass || (control & kReceiveAll) != 0;
}

void Lan9118::take_frame(ByteView frame) {
  bool filtered = false;
  if (frame.size() < 14 || frame.size() > receivable() || !passes(frame, &filtered)) return;
  const u32 how = registers_[kRxConfig / 4] >> 30;
  const std::size_t unit = how == 1 ? 16 : how == 2 ? 32 : 4;
  packets_.push_back(rx_data_.push_frame(Bytes(rx_offset()), frame, unit));

  constexpr u32 kFiltered = 1u << 30, kBroadcast = 1u << 13, kTooLong = 1u << 7, kGroup = 1u << 10,
                kTyped = 1u << 5;
  const u32 length = static_cast<u32>(frame.size()) + 4, type = u32{frame[12]} << 8 | frame[13];
  u32 status = length << 16;
  if (filtered) status |= kFiltered;
  if (is_broadcast(frame))
    status |= kBroadcast;
  else if (is_group(frame))
    status |= kGroup;
  if (type > 1500) status |= kTyped;
  if (length > 1518) status |= kTooLong;
  rx_status_.push(status);
  tell(kRxStatusLevel | kRxStatusFull);
}

u32 Lan9118::read_data() {
  if (packets_.empty()) {
    registers_[kIrqStatus / 4] |= kRxError;
    settle();
    return 0;
  }
  return taken([this] {
    if (--packets_.front() == 0) packets_.pop_front();
    return rx_data_.pop();
  });
}

/// RX_DP_CTL: the rest of the packet at the front is skipped.
void Lan9118::fast_forward() {
  if (packets_.empty()) return;
  for (u32 n = packets_.front(); n != 0; --n) rx_data_.pop();
  packets_.pop_front();
  machine_.port().ready(channel_);
}

// ---- Sending -------------------------------------------------------------------------------------------

std::size_t Lan9118::tx_room() const {
  std::size_t used = tx_.used();
  for (const auto& packet : waiting_) used += (packet.frame.size() + 3) / 4 * 4;
  return tx_data_bytes() - std::min(tx_data_bytes(), used);
}

void Lan9118::write_data(u32 word) {
  const std::size_t room = waiting_.size() < kTxStatusWords ? tx_room() : 0;
  Lan9118Transmitter::Written written = tx_.write(word, room);
  u32& status = registers_[kIrqStatus / 4];
  if (written.loaded_with_interrupt) status |= kTxComplete;
  if (written.error) status |= kTxError;
  if (written.overrun) status |= kTxOverrun;
  // A packet without data needs no room, but a status like the others.
  if (written.packet && waiting_.size() >= kTxStatusWords)
    status |= kTxOverrun;
  else if (written.packet)
    waiting_.push_back(std::move(*written.packet));
  transmit();
}

void Lan9118::transmit() {
  const u32 config = registers_[kTxConfig / 4];
  while (!waiting_.empty() && (config & kTxOn) != 0 && (mac_[kMacControl] & kTxEnable) != 0 &&
         (tx_status_.size() < kTxStatusWords || (config & kTxStatusOverrun) != 0)) {
    Lan9118Transmitter::Packet packet = std::move(waiting_.front());
    waiting_.pop_front();
    send(std::move(packet));
  }
}

void Lan9118::send(Lan9118Transmitter::Packet packet) {
  constexpr u32 kNoCarrier = 0x8c00;
  const bool inside = (mac_[kMacControl] & kLoopback) != 0 || phy_.loopback();
  if (tx_status_.size() < kTxStatusWords)
    tx_status_.push(u32{packet.tag} << 16 | (cable_ || inside ? 0 : kNoCarrier));
  tell(kTxStatusLevel | kTxStatusFull | kTxRoom);
  Bytes& frame = packet.frame;
  if (packet.has_check) frame.resize(frame.size() - std::min<std::size_t>(frame.size(), 4));
  if (packet.add_padding) frame.resize(std::max(frame.size(), kMinFrame));
  send_frame(frame, inside);
}

// ---- Registers -----------------------------------------------------------------------------------------

u32 Lan9118::read_word(u32 at) { return at < kRxDataEnd ? read_data() : read_register(at); }

u32 Lan9118::read_register(u32 at) {
  switch (at) {
    case kRxStatus: return taken([this] { return rx_status_.pop(); });
    case kRxStatusPeek: return rx_status_.front();
    case kTxStatus: {
      const u32 status = tx_status_.pop();
      transmit();
      settle();
      return status;
    }
    case kTxStatusPeek: return tx_status_.front();
    case kId: return 0x01180001;
    case kIrqConfig: return registers_[at / 4] | (pending() ? 0x1000 : 0);
    case kByteTest: return 0x87654321;
    case kRxInfo: return static_cast<u32>(rx_status_.size() << 16 | 4 * rx_data_.size());
    case kTxInfo: return static_cast<u32>(tx_status_.size() << 16 | tx_room());
    case kDropped: return 0;
    case kPower: return registers_[at / 4] | kReady;
    case kTimerCount: return timer_.value();
    case kFreeRunning: return static_cast<u32>(u128{machine_.clock().now()} / 40);  // 25 MHz
    case kEeprom: return eeprom_.command();
    case kEepromData: return eeprom_.data();
    default: return at < kEnd && at >= kTxDataEnd ? registers_[at / 4] : 0;
  }
}

void Lan9118::write_word(u32 at, u32 value) {
  if (at >= kEnd || at < kRxDataEnd) return;
  if (at < kTxDataEnd)
    write_data(value);
  else
    write_register(at, value);
  settle();
}

void Lan9118::write_register(u32 at, u32 value) {
  u32& r = registers_[at / 4];
  switch (at) {
    case kIrqConfig: r = value & 0xff000111; break;
    case kIrqStatus: r &= ~value; break;
    case kIrqEnable:
      tell(value & ~r);
      r = value;
      if ((value & kSoftwareInterrupt) != 0) registers_[kIrqStatus / 4] |= kSoftwareInterrupt;
      break;
    case kHardware:
      if ((value & 1) != 0) return reset();  // done at once: the bit reads as 0
      r = value & 0x003f0000;
      break;
    case kRxConfig:
      if ((value & 0x8000) != 0) drop_received();
      r = value & 0xcfff1f00;
      machine_.port().ready(channel_);
      break;
    case kTxConfig:
      if ((value & 0x8000) != 0) tx_status_.clear();
      if ((value & 0x4000) != 0) {
        tx_.clear();
        waiting_.clear();
      }
      r = value & (kTxOn | kTxStatusOverrun);
      if ((value & kTxStop) != 0) {
        r &= ~kTxOn;
        registers_[kIrqStatus / 4] |= kTxStopped;
      }
      transmit();
      break;
    case kRxControl:
      if ((value >> 31) != 0) fast_forward();
      break;
    case kTimer: {
      constexpr u32 kRun = 1u << 29;
      if (((value ^ r) & kRun) != 0) {
        if ((value & kRun) != 0)
          timer_.start(value & 0xffff, value & 0xffff, true);
        else
          timer_.stop(0xffff);
      }
      r = value & (kRun | 0xffff);
      break;
    }
    case kMacCommand: mac_command(value); break;
    case kEeprom:
      if (eeprom_.run(value)) load_address();
      break;
    case kEepromData: eeprom_.set_data(value); break;
    case kFifoInterrupts:
      r = value;
      tell(kRxStatusLevel | kTxStatusLevel | kTxRoom);
      break;
    case kPower:
    case kGpio:
    case kEndian:
    case kMacData:
    case kFlow: r = value; break;
    default: break;
  }
}

/// The MAC's registers are behind two of the bus's; an access is over at once.
void Lan9118::mac_command(u32 command) {
  constexpr u32 kGo = u32{1} << 31, kRead = u32{1} << 30;
  registers_[kMacCommand / 4] = command & ~kGo;
  const u32 n = command & 15;
  if ((command & kGo) == 0 || n >= mac_.size()) return;
  u32& data = registers_[kMacData / 4];
  if ((command & kRead) != 0)
    data = mac_[n];
  else
    write_mac(n, data);
}

void Lan9118::write_mac(u32 n, u32 value) {
  const u32 before = mac_[n];
  mac_[n] = value;
  if (n == kMacControl) {
    if ((before & ~value & kRxEnable) != 0) registers_[kIrqStatus / 4] |= kRxStopped;
    if ((value & ~before & kRxEnable) != 0) machine_.port().ready(channel_);
    transmit();
  }
  if (n != kMiiAccess) return;
  constexpr u32 kMiiWrite = 2, kPhyAddress = 1;
  const u32 phy = value >> 6 & 31;
  mac_[kMiiAccess] = value & ~u32{1};
  if ((value >> 11 & 31) != kPhyAddress)
    mac_[kMiiData] = 0xffff;  // no PHY has that address
  else if ((value & kMiiWrite) != 0)
    phy_.write(phy, mac_[kMiiData] & 0xffff);
  else
    mac_[kMiiData] = phy_.read(phy);
}

void Lan9118::load_address() {
  const MacAddress a = eeprom_.address().value_or(MacAddress{0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
  mac_[kAddressLow] = address_low(a);
  mac_[kAddressHigh] = address_high(a);
}

void Lan9118::state(Archive& ar) {
  for (u32& r : registers_) ar.field("register", r);
  for (u32& r : mac_) ar.field("mac", r);
  eeprom_.state(ar);
  phy_.state(ar);
  timer_.state(ar);
  constexpr std::size_t kMostWords = 16 * 1024 / 4;
  rx_data_.state(ar, "rx_data", kMostWords);
  rx_status_.state(ar, "rx_status", kMostWords);
  u32 packets = static_cast<u32>(packets_.size());
  ar.field("packets", packets);
  if (packets > kMostWords) throw Fatal("saved state: a receiver that cannot be");
  packets_.resize(packets);
  u64 words = 0;
  for (u32& n : packets_) {
    ar.field("words", n);
    words += n;
    if (n == 0) throw Fatal("saved state: a receiver that cannot be");
  }
  tx_status_.state(ar, "tx_status", kTxStatusWords);
  tx_.state(ar);
  u32 waiting = static_cast<u32>(waiting_.size());
  ar.field("waiting", waiting);
  if (waiting > kTxStatusWords) throw Fatal("saved state: a transmitter that cannot be");
  waiting_.resize(waiting);
  for (auto& packet : waiting_) {
    ar.blob("frame", packet.frame, 0x7ff);
    ar.field("tag", packet.tag);
    ar.field("padding", packet.add_padding);
    ar.field("check", packet.has_check);
  }
  if (words != rx_data_.size()) throw Fatal("saved state: a receiver that cannot be");
}

}  // namespace

IrqSink* build_lan9118(const DeviceSite& site) { return add<Lan9118>(site, kEnd, site); }

}  // namespace hindcast::devices
