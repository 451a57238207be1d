// SMSC's LAN9118 and LAN9220 Ethernet controllers (LAN9118's data sheet, chapters 3 and 5) on a 32-bit bus:
// FIFOs, MAC, PHY, EEPROM and the general-purpose timer. Frames are sent at once. No power management, flow
// control or wake-up; an active interrupt is always a high level on the board's wire, however the pin is
// configured.
#pragma once
#include <deque>
#include <optional>

#include "engine/machine.h"
#include "targets/devices/ethernet.h"
#include "targets/devices/mii_phy.h"

namespace hindcast::devices {

/// The transmitter's half of the data path (3.11): commands and data that the host writes become frames.
class Lan9118Transmitter {
 public:
  struct Packet {
    Bytes frame;
    u16 tag = 0;
    bool add_padding = false, has_check = false;  // has_check: the frame ends with its own checksum
  };
  /// What a word has led to.
  struct Written {
    bool loaded_with_interrupt = false;  // a buffer whose completion was to be told
    bool error = false;                  // commands that contradict each other
    bool overrun = false;                // there was no room
    std::optional<Packet> packet;        // is complete
  };
  Written write(u32 word, std::size_t room_bytes);
  /// Bytes of the packet that is being written.
  std::size_t used() const { return 4 * words_; }
  void clear() { *this = {}; }
  void state(Archive& ar);

 private:
  enum class Next : u8 { CommandA, CommandB, Data };
  void take(u32 word);
  void begin_buffer(Written& out);
  void end_buffer(Written& out);

  Next next_ = Next::CommandA;
  u32 a_ = 0, b_ = 0, first_b_ = 0;
  u32 left_ = 0;    // words of the buffer still to come
  u32 offset_ = 0;  // bytes of it to be skipped
  u32 size_ = 0;    // bytes of it to be taken
  u32 words_ = 0;   // data of the packet so far
  bool open_ = false, bad_ = false;
  Bytes frame_;
};

/// The 93C46-like serial EEPROM behind two registers (5.3.23): the board's address is in it.
class Lan9118Eeprom {
 public:
  explicit Lan9118Eeprom(const MacAddress& mac);
  u32 command() const { return command_; }
  u32 data() const { return data_; }
  void set_data(u32 value) { data_ = value & 0xff; }
  /// The adapter's, if there is one in it.
  std::optional<MacAddress> address() const;
  /// True: the address is to be loaded again.
  bool run(u32 command);
  void reset();
  void state(Archive& ar);

 private:
  std::array<u8, 128> bytes_;
  u32 command_ = 0, data_ = 0;
  bool writable_ = false;
};

/// The internal PHY (5.5).
class Lan9118Phy final : public MiiPhy {
 public:
  explicit Lan9118Phy(bool cable);
  bool interrupt() const override { return (source_ & mask_) != 0; }
  void state(Archive& ar) override;

 private:
  void reset_own() override { source_ = mask_ = 0; }
  u32 read_own(u32 n) override;
  void write_own(u32 n, u32 value) override;
  void on_negotiated() override;
  u32 source_ = 0, mask_ = 0;
};

}  // namespace hindcast::devices
