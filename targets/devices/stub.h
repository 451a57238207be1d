// What stands in for a device without a model: reads give 0, writes change nothing. The user is told of each
// register that the guest touches, once.
#pragma once
#include <set>

#include "engine/machine.h"

namespace hindcast::devices {

class Stub final : public Device, public MmioHandler {
 public:
  /// `what`: for the user, the node's path and what it is compatible with.
  Stub(std::string name, Machine& machine, std::string what, GuestAddr base)
      : Device(std::move(name)), machine_(machine), what_(std::move(what)), base_(base) {}

  void reset() override {}
  void state(Archive&) override {}
  u64 mmio_read(u64 offset, unsigned size) override;
  void mmio_write(u64 offset, unsigned size, u64 value) override;

 private:
  static constexpr std::size_t kMostTold = 256;  // registers, so that a guest cannot fill a disk with them
  void tell(u64 offset, unsigned size, const char* how);

  Machine& machine_;
  std::string what_;
  GuestAddr base_;
  std::set<std::pair<u64, bool>> told_;  // offset, write; not the guest's: only what the user has been told
};

}  // namespace hindcast::devices
