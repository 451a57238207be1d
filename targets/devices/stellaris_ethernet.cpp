// The Ethernet controller of Stellaris microcontrollers (LM3S6965's data sheet, chapter 16): a MAC whose two
// FIFOs of 2 KiB are read and written by words, and a PHY. Frames are sent at once.
#include <algorithm>
#include <array>
#include <utility>

#include "targets/devices/ethernet.h"
#include "targets/devices/mii_phy.h"

namespace hindcast::devices {
namespace {

constexpr u32 kStatus = 0x00, kMask = 0x04, kRxControl = 0x08, kTxControl = 0x0c, kData = 0x10,
              kAddressLow = 0x14, kAddressHigh = 0x18, kThreshold = 0x1c, kMiiControl = 0x20,
              kMiiDivider = 0x24, kMiiWrite = 0x2c, kMiiRead = 0x30, kPackets = 0x34, kTxRequest = 0x38,
              kEnd = 0x40;
// MACRIS and MACIM.
constexpr u32 kReceived = 1, kTxError = 2, kTxEmpty = 4, kMiiDone = 0x20, kPhyInterrupt = 0x40,
              kInterrupts = 0x7f;
// MACRCTL and MACTCTL.
constexpr u32 kRxEnable = 1, kAllGroups = 2, kPromiscuous = 4, kRxReset = 0x10;
constexpr u32 kTxEnable = 1, kPad = 2, kAddCheck = 4;
constexpr u32 kWholeFrame = 0x3f;  // MACTHR: sending waits for MACTR

constexpr std::size_t kFifoBytes = 2048, kMostPackets = 31;
constexpr std::size_t kLengthBytes = 2, kCheckBytes = 4, kHeaderBytes = 14;

/// The internal PHY (16.5.2).
class Phy final : public MiiPhy {
 public:
  explicit Phy(bool cable) : MiiPhy(kKind, cable) {}
  bool interrupt() const override { return (interrupts_ >> 8 & interrupts_ & 0xff) != 0; }
  void state(Archive& ar) override {
    MiiPhy::state(ar);
    ar.field("phy", interrupts_);
  }

 private:
  static constexpr Kind kKind = {0x3100, 0x7849, 0x000e, 0x7237};
  static constexpr u32 kInterruptControl = 17;
  void reset_own() override { interrupts_ = 0; }
  u32 read_own(u32 n) override {
    switch (n) {
      case 16: return 0x0140;
      case kInterruptControl: return std::exchange(interrupts_, interrupts_ & 0xff00);
      case 18: return negotiated() ? 0x0c00 : 0;  // 100 Mbit/s, full duplex
      case 19: return 0x4000;
      default: return 0;
    }
  }
  void write_own(u32 n, u32 value) override {
    if (n == kInterruptControl) interrupts_ = (interrupts_ & 0xff) | (value & 0xff00);
  }
  /// Told of: negotiation done, link partner's answer, link up.
  void on_negotiated() override { interrupts_ |= 0x25; }
  u32 interrupts_ = 0;
};

class StellarisEthernet final : public EthernetController {
 public:
  StellarisEthernet(std::string name, const DeviceSite& site)
      : EthernetController(std::move(name), site), phy_(cable_) {}

  void reset() override {
    status_ = tx_control_ = mii_control_ = mii_write_ = mii_read_ = 0;
    mask_ = kInterrupts;
    rx_control_ = 8;
    mac_ = burnt_in_;
    threshold_ = kWholeFrame;
    divider_ = 0x80;
    phy_.reset();
    tx_.clear();
    drop_received();
    settle();
  }
  void state(Archive& ar) override;

  std::size_t receivable() const override {
    if ((rx_control_ & kRxEnable) == 0 || packets_ >= kMostPackets) return 0;
    constexpr std::size_t kRounding = 3;
    const std::size_t taken = 4 * rx_.size() + kLengthBytes + kCheckBytes + kRounding;
    return kFifoBytes - std::min(kFifoBytes, taken);
  }

 private:
  u32 read_word(u32 at) override;
  void write_word(u32 at, u32 value) override;
  u32 read_data();
  void write_data(u32 word);
  void take_frame(ByteView frame) override;
  void send();
  void run_mii(u32 control);
  void drop_received() {
    rx_.clear();
    packets_ = left_ = 0;
  }
  void settle() override {
    if (phy_.interrupt()) status_ |= kPhyInterrupt;
    irq_.set((status_ & mask_) != 0);
  }

  Phy phy_;
  u32 status_ = 0, mask_ = 0, rx_control_ = 0, tx_control_ = 0, threshold_ = 0, divider_ = 0,
      mii_control_ = 0, mii_write_ = 0, mii_read_ = 0;
  MacAddress mac_{};
  WordFifo rx_;
  u32 packets_ = 0;  // in rx_
  u32 left_ = 0;     // words of the first of them, once it has been begun; 0 before
  Bytes tx_;
};

// ---- Receiving -----------------------------------------------------------------------------------------

void StellarisEthernet::take_frame(ByteView frame) {
  if (frame.size() < kHeaderBytes || frame.size() > receivable()) return;
  const bool pass = (rx_control_ & kPromiscuous) != 0 || is_broadcast(frame) || is_for(frame, mac_) ||
                    (is_group(frame) && (rx_control_ & kAllGroups) != 0);
  if (!pass) return;
  const std::size_t length = kLengthBytes + frame.size() + kCheckBytes;
  rx_.push_frame(Bytes{static_cast<u8>(length), static_cast<u8>(length >> 8)}, frame, 4);
  ++packets_;
  status_ |= kReceived;
}

u32 StellarisEthernet::read_data() {
  if (packets_ == 0) return 0;
  return taken([this] {
    const u32 word = rx_.pop();
    if (left_ == 0) left_ = ((word & 0xffff) + 3) / 4;
    if (left_ != 0) --left_;
    if (left_ == 0) --packets_;
    return word;
  });
}

// ---- Sending -------------------------------------------------------------------------------------------

void StellarisEthernet::write_data(u32 word) {
  if (tx_.size() + 4 > kFifoBytes) {
    status_ |= kTxError;
    return;
  }
  for (unsigned i = 0; i < 4; ++i) tx_.push_back(static_cast<u8>(word >> (8 * i)));
  // With a threshold, sending has begun by the time that the frame is complete.
  if (threshold_ != kWholeFrame && tx_.size() >= kLengthBytes + kHeaderBytes + (tx_[0] | tx_[1] << 8)) send();
}

void StellarisEthernet::send() {
  if ((tx_control_ & kTxEnable) == 0 || tx_.size() < kLengthBytes) return;
  const bool has_check = (tx_control_ & kAddCheck) == 0;
  const std::size_t length =
      kHeaderBytes + (tx_[0] | static_cast<std::size_t>(tx_[1]) << 8) + (has_check ? kCheckBytes : 0);
  if (kLengthBytes + length > tx_.size()) {
    tx_.clear();
    status_ |= kTxError;
    return;
  }
  Bytes frame(tx_.begin() + kLengthBytes, tx_.begin() + static_cast<std::ptrdiff_t>(kLengthBytes + length));
  tx_.clear();
  if (has_check) frame.resize(frame.size() - kCheckBytes);
  if ((tx_control_ & kPad) != 0) frame.resize(std::max(frame.size(), kMinFrame));
  send_frame(frame, phy_.loopback());
  status_ |= kTxEmpty;
}

// ---- Registers -----------------------------------------------------------------------------------------

u32 StellarisEthernet::read_word(u32 at) {
  switch (at) {
    case kStatus: return status_;
    case kMask: return mask_;
    case kRxControl: return rx_control_;
    case kTxControl: return tx_control_;
    case kData: return read_data();
    case kAddressLow: return address_low(mac_);
    case kAddressHigh: return address_high(mac_);
    case kThreshold: return threshold_;
    case kMiiControl: return mii_control_;
    case kMiiDivider: return divider_;
    case kMiiWrite: return mii_write_;
    case kMiiRead: return mii_read_;
    case kPackets: return packets_;
    default: return 0;  // of MACTR too: whatever was asked for has been sent
  }
}

void StellarisEthernet::write_word(u32 at, u32 value) {
  switch (at) {
    case kStatus:
      status_ &= ~value;
      if ((value & kTxError) != 0) tx_.clear();
      break;
    case kMask: mask_ = value & kInterrupts; break;
    case kRxControl:
      if ((value & kRxReset) != 0) drop_received();
      rx_control_ = value & 0x0f;
      machine_.port().ready(channel_);
      break;
    case kTxControl: tx_control_ = value & 0x17; break;
    case kData: write_data(value); break;
    case kAddressLow: mac_ = address_of(value, address_high(mac_)); break;
    case kAddressHigh: mac_ = address_of(address_low(mac_), value); break;
    case kThreshold: threshold_ = value & 0x3f; break;
    case kMiiControl: run_mii(value); break;
    case kMiiDivider: divider_ = value & 0xff; break;
    case kMiiWrite: mii_write_ = value & 0xffff; break;
    case kTxRequest:
      if ((value & 1) != 0) send();
      break;
    default: break;
  }
  settle();
}

/// A transfer is over at once.
void StellarisEthernet::run_mii(u32 control) {
  constexpr u32 kStart = 1, kWrite = 2;
  mii_control_ = control & 0xfa;
  if ((control & kStart) == 0) return;
  const u32 n = control >> 3 & 31;
  if ((control & kWrite) != 0)
    phy_.write(n, mii_write_);
  else
    mii_read_ = phy_.read(n);
  status_ |= kMiiDone;
}

void StellarisEthernet::state(Archive& ar) {
  for (u32* field : {&status_, &mask_, &rx_control_, &tx_control_, &threshold_, &divider_, &mii_control_,
                     &mii_write_, &mii_read_})
    ar.field("register", *field);
  ar.field("mac", mac_);
  phy_.state(ar);
  rx_.state(ar, "rx", kFifoBytes / 4);
  ar.field("packets", packets_);
  ar.field("left", left_);
  ar.blob("tx", tx_, kFifoBytes);
  if (packets_ > kMostPackets || left_ > kFifoBytes || (left_ != 0 && packets_ == 0))
    throw Fatal("saved state: a receiver that cannot be");
}

}  // namespace

IrqSink* build_stellaris_ethernet(const DeviceSite& site) { return add<StellarisEthernet>(site, kEnd, site); }

}  // namespace hindcast::devices
