// Split virtqueues ("Virtual I/O Device (VIRTIO) Version 1.2", section 2.7), the device's side: descriptor
// chains, direct and indirect, and the suppression of notifications both ways.
//
// Everything in the rings comes from the guest. A ring that makes no sense breaks the queue: broken() is true
// from then on, and nothing more is taken from it until it is reset.
#pragma once
#include <optional>
#include <vector>

#include "engine/archive.h"
#include "targets/devices/virtio/guest_memory.h"

namespace hindcast::devices::virtio {

/// What the driver has handed over at once. Segments are not empty; whether they are RAM is not checked yet.
struct Chain {
  u16 head = 0;
  std::vector<Segment> readable, writable;  // by the device
};

class Queue {
 public:
  /// More segments in one chain than this break the queue (section 2.7.5.3.1: a chain is at most as long as
  /// the queue; Linux goes beyond with indirect ones).
  static constexpr unsigned kMostSegments = 1024;
  static constexpr u16 kLargest = 1024;

  /// `max_size`: a power of two, up to kLargest.
  Queue(AddressSpace& memory, u16 max_size);

  // For transports.
  u16 max_size() const { return max_size_; }
  u16 size() const { return size_; }
  /// Ignored unless it is a power of two up to max_size(), and while the queue is ready.
  void set_size(u32 size);
  bool ready() const { return ready_; }
  void set_ready(bool ready) { ready_ = ready; }
  enum class Part : u8 { Descriptors, Driver, Device };
  u64 address(Part part) const { return addresses_[static_cast<std::size_t>(part)]; }
  /// Ignored while the queue is ready.
  void set_address(Part part, u64 address);
  void reset();
  void state(Archive& ar);

  // For devices.
  /// The features that change how rings are read.
  void negotiated(bool indirect, bool event_index);
  /// The next chain; nothing if there is none, or the queue is not ready or broken.
  std::optional<Chain> pop();
  /// How many chains the driver has made available that were not taken; at most size().
  unsigned available();
  /// Whether the driver has made any available, as far as can be told without taking one. For whoever asks
  /// between instructions: changes nothing.
  bool has_available() const;
  /// Gives a chain back; `written`: how many bytes of its writable segments were written, from the front.
  void push(u16 head, u32 written);
  /// Whether the driver wants an interrupt for what was pushed since the last call.
  bool take_wants_interrupt();
  bool broken() const { return broken_ != nullptr; }
  /// Why, for messages; null if it is not.
  const char* why_broken() const { return broken_; }
  /// The device has found the content of a chain senseless.
  void break_it(const char* why) { broken_ = why; }

 private:
  struct Descriptor {
    u64 address;
    u32 size;
    u16 flags, next;
  };
  bool walk(u16 head, Chain& chain);
  bool enter_indirect(const Descriptor& descriptor, bool inside, u64& table, u32& count);
  static bool add(const Descriptor& descriptor, Chain& chain);
  u64 desc() const { return address(Part::Descriptors); }
  u64 avail() const { return address(Part::Driver); }
  u64 used() const { return address(Part::Device); }

  GuestMemory memory_;
  u16 max_size_;
  u16 size_;
  bool ready_ = false;
  u64 addresses_[3] = {};
  bool indirect_ = false, event_index_ = false;
  u16 next_avail_ = 0;       // the next entry of the available ring to take
  u16 next_used_ = 0;        // the next entry of the used ring to fill
  u16 told_used_ = 0;        // next_used_ when the driver was last asked whether it wants an interrupt
  bool told_valid_ = false;  // the driver was asked since the queue was set up
  const char* broken_ = nullptr;
};

}  // namespace hindcast::devices::virtio
