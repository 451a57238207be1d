// A bare-metal program that does random things and prints a digest of each round: run here, run in QEMU, and
// compared with what QEMU printed once.
#pragma once
#include <string>

#include "engine/types.h"
#include "tests/guests/run_command.h"

namespace hindcast::oracle {

class RandomGuest {
 public:
  struct Setup {
    std::string name;  // of the program, and of its folder beside this file
    unsigned xlen;
    std::string machine;   // -M
    std::string cpu;       // --cpu here
    std::string qemu_cpu;  // -cpu there
    u64 features;          // the program's own
  };
  /// Gives the program its options in a file, which goes with this.
  explicit RandomGuest(Setup setup);
  ~RandomGuest();
  RandomGuest(const RandomGuest&) = delete;
  RandomGuest& operator=(const RandomGuest&) = delete;

  /// False: the guest programs were not built.
  bool built() const { return !elf_.empty(); }
  const std::string& qemu() const { return qemu_; }
  /// What the next runs are to do.
  void choose(u64 seed, u64 rounds) const;
  /// What the program prints; fails the test if the run does.
  std::string here(const char* engine) const;
  testing::CommandResult in_qemu() const;
  /// The major version of the QEMU in the path; 0: there is none.
  int qemu_version() const;
  /// Runs with both engines: prints what the file of its folder has.
  void expect_what_qemu_did(u64 rounds, const std::string& file) const;
  /// Prints what QEMU prints now.
  void expect_what_qemu_does(u64 rounds) const;

 private:
  Setup setup_;
  std::string elf_, qemu_, options_;
};

}  // namespace hindcast::oracle
