// What all virtio devices share ("Virtual I/O Device (VIRTIO) Version 1.2", chapters 2 and 3): status,
// features, queues, configuration space; and how they meet the transport (MMIO, PCI) that the guest finds
// them behind. Modern devices only. A driver must accept VIRTIO_F_VERSION_1, and section 6.2 lets a device
// refuse one that does not; these serve it all the same, in the one way they know: xv6 never looks at the
// upper half of the features.
#pragma once
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/machine.h"
#include "targets/devices/virtio/queue.h"

namespace hindcast::devices::virtio {

/// Device types (chapter 5).
enum class Type : u32 { Network = 1, Block = 2, Console = 3, Entropy = 4 };

/// How a device makes itself heard. A device without one is mute.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual void queue_interrupt(unsigned queue) = 0;
  virtual void config_interrupt() = 0;
};

/// A virtio device of any type. A type derives from it, and adds no state but through save().
///
/// All functions that types override are called inside an access of the guest, or from the clock: they throw
/// nothing.
class VirtioDevice : public Device {
 public:
  /// Bits of the device status (section 2.1).
  static constexpr u8 kAcknowledge = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8, kNeedsReset = 64,
                      kFailed = 128;
  /// Feature bits that no single type has (chapter 6).
  static constexpr u64 kIndirectDescriptors = u64{1} << 28, kEventIndex = u64{1} << 29,
                       kVersion1 = u64{1} << 32;

  /// `queue_sizes`: the largest size of each queue, powers of two up to Queue::kLargest.
  VirtioDevice(std::string name, Machine& machine, Type type, const std::vector<u16>& queue_sizes);

  // For transports.
  void connect(Transport* transport) { transport_ = transport; }
  Type type() const { return type_; }
  u64 offered_features() const;
  u64 driver_features() const { return driver_features_; }
  /// Ignored once FEATURES_OK is set.
  void set_driver_features(u64 features);
  u8 status() const { return status_; }
  /// 0 resets the device; other values set bits, of which FEATURES_OK stays clear if the features are
  /// refused.
  void set_status(u8 status);
  unsigned queue_count() const { return static_cast<unsigned>(queues_.size()); }
  /// `index` must be below queue_count().
  Queue& queue(unsigned index) { return queues_[index]; }
  const Queue& queue(unsigned index) const { return queues_[index]; }
  /// The driver rings the bell of a queue. Any number may come.
  void notify(u64 queue);
  /// Whether the device may reach memory: on a bus whose masters are held back it stands still, and goes on
  /// with look_at_queues(). It may, unless its transport says otherwise.
  void set_reach(bool reach) { reach_ = reach; }
  bool has_reach() const { return reach_; }
  /// As if the driver had rung all bells.
  void look_at_queues();
  /// Little-endian, `size` 1, 2 or 4. Beyond the end zeros are read, and writes change nothing.
  u32 read_config(u64 offset, unsigned size) const;
  void write_config(u64 offset, unsigned size, u32 value);
  u32 config_generation() const { return config_generation_; }

  void reset() final;
  void state(Archive& ar) final;

 protected:
  // For types.
  Machine& machine() { return machine_; }
  GuestMemory& memory() { return memory_; }
  bool has_feature(u64 bit) const { return (driver_features_ & bit) != 0; }
  /// The driver has set the device up, nothing is broken, and memory can be reached.
  bool running() const { return reach_ && (status_ & (kDriverOk | kNeedsReset)) == kDriverOk; }
  /// Takes the next chain of a queue while the device is running.
  std::optional<Chain> pop(unsigned queue);
  /// Gives a chain back; interrupts follow with flush().
  void push(unsigned queue, u16 head, u32 written);
  /// Sends the interrupt for what was pushed, if the driver wants one.
  void flush(unsigned queue);
  /// The driver has done what no driver may do: the device stops until it is reset. `what`: for the user, a
  /// literal; whatever a guest does, each is said once.
  void fail(const char* what);
  /// The configuration space has changed by itself.
  void config_changed();

  /// The type's feature bits that are offered; the common ones are added.
  virtual u64 features() const = 0;
  /// The configuration space as it is now.
  virtual Bytes config() const { return {}; }
  /// The driver writes there; `size` 1, 2 or 4.
  virtual void config_written(u64 /*offset*/, unsigned /*size*/, u32 /*value*/) {}
  /// There may be something in the queue. Only called while running(), and once for each queue when that
  /// begins.
  virtual void notified(unsigned queue) = 0;
  /// The type's state as after power-on. What lies on media stays.
  virtual void reset_type() = 0;
  /// The type's state, for saving and loading. When loading, what makes no sense is refused with Fatal; what
  /// was loaded before that must not do harm.
  virtual void save(Archive& ar) = 0;

 private:
  void reset_common();
  void look_for_failure(unsigned queue);

  Machine& machine_;
  GuestMemory memory_;
  Type type_;
  std::vector<Queue> queues_;
  Transport* transport_ = nullptr;
  std::set<std::string_view> told_;  // why the driver had to reset the device: each is said once
  bool reach_ = true;                // the transport's, which saves it
  u8 status_ = 0;
  u64 driver_features_ = 0;
  u32 config_generation_ = 0;
};

}  // namespace hindcast::devices::virtio
