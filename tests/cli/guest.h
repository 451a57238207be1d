// Small bare-metal programs, RV64 unless asked otherwise, assembled here so that the tests need no cross
// compiler.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace hindcast::cli_test {

/// Instructions are appended; branches go to labels. x8 holds the load address, x9 the data area after the
/// code.
class Assembler {
 public:
  enum Register : unsigned {
    zero = 0,
    ra = 1,
    t0 = 5,
    t1 = 6,
    t2 = 7,
    s0 = 8,
    s1 = 9,
    a0 = 10,
    a1 = 11,
    s2 = 18,
    s3 = 19,
    s4 = 20,
    s5 = 21,
    s6 = 22,
    t3 = 28,
    t4 = 29,
    t5 = 30
  };
  static constexpr std::uint64_t kBase = 0x80000000;
  static constexpr unsigned kData = 0x1000;  // the data area's distance from the base

  /// For 64 or 32 bits.
  explicit Assembler(unsigned xlen = 64);
  unsigned xlen() const { return xlen_; }
  void li(Register to, std::int32_t value);
  void addi(Register to, Register from, int value) { i_type(0x13, 0, to, from, value); }
  void andi(Register to, Register from, int value) { i_type(0x13, 7, to, from, value); }
  void slli(Register to, Register from, unsigned by) { i_type(0x13, 1, to, from, static_cast<int>(by)); }
  void srli(Register to, Register from, unsigned by) { i_type(0x13, 5, to, from, static_cast<int>(by)); }
  void add(Register to, Register a, Register b) { r_type(0x33, 0, 0, to, a, b); }
  void sub(Register to, Register a, Register b) { r_type(0x33, 0, 0x20, to, a, b); }
  void lbu(Register to, Register base, int offset) { i_type(0x03, 4, to, base, offset); }
  void ld(Register to, Register base, int offset) { i_type(0x03, 3, to, base, offset); }
  void sb(Register value, Register base, int offset) { s_type(0, base, value, offset); }
  void sw(Register value, Register base, int offset) { s_type(2, base, value, offset); }
  void sd(Register value, Register base, int offset) { s_type(3, base, value, offset); }
  /// A whole register: sd or sw.
  void store(Register value, Register base, int offset) { s_type(xlen_ == 64 ? 3 : 2, base, value, offset); }
  void jr(Register to) { i_type(0x67, 0, zero, to, 0); }
  void word(std::uint32_t instruction) { code_.push_back(instruction); }

  unsigned here() const { return static_cast<unsigned>(code_.size()); }
  /// Branches to a label taken with here().
  void beq(Register a, Register b, unsigned label) { branch(0, a, b, label); }
  void bne(Register a, Register b, unsigned label) { branch(1, a, b, label); }
  void jump(unsigned label);
  /// A forward branch, to be bound later with bind().
  unsigned beq_later(Register a, Register b) { return later(0, a, b); }
  unsigned bne_later(Register a, Register b) { return later(1, a, b); }
  void bind(unsigned site);
  /// Makes the instruction at `site` a jump to here.
  void bind_jump(unsigned site);

  /// The semihosting sequence; a1 must hold the parameter.
  void semihost(unsigned operation);
  /// SYS_EXIT_EXTENDED with the exit code in `code`.
  void exit(Register code);

  /// A name for the next instruction, in the ELF file's symbol table.
  void symbol(const std::string& name) { symbols_.emplace_back(here(), name); }

  /// The ELF file; `data` comes at kData.
  std::string elf(const std::string& data = "") const;

 private:
  void i_type(unsigned opcode, unsigned f3, unsigned to, unsigned from, int value);
  void r_type(unsigned opcode, unsigned f3, unsigned f7, unsigned to, unsigned a, unsigned b);
  void s_type(unsigned f3, unsigned base, unsigned value, int offset);
  void branch(unsigned f3, unsigned a, unsigned b, unsigned label);
  unsigned later(unsigned f3, unsigned a, unsigned b);
  std::string with_symbols(std::string file) const;
  unsigned xlen_;
  std::vector<std::uint32_t> code_;
  std::vector<std::pair<unsigned, std::string>> symbols_;
};

/// Ends at once with this status.
std::string exit_program(int code);
/// Prints `text` through semihosting and exits with 0.
std::string print_program(const std::string& text);
/// Copies semihosting stdin to stdout until the end of input; then exits with 7.
std::string echo_program();
/// Copies the host file `from` to the host file `to` and to the console, and exits with 0; with 1 if `from`,
/// with 2 if `to` cannot be opened.
std::string copy_program(const std::string& from, const std::string& to);
/// Copies the serial port to itself; 'q' powers the board off. `fifo`: through the FIFO, with its interrupt
/// enabled.
std::string serial_echo_program(bool fifo = false);
/// Sets the serial port up and prints "boot\n", three times, then copies the port to itself until a 'q'.
std::string serial_boot_program();
/// A byte from the serial port goes to semihosting, then one from semihosting to the serial port, and so on;
/// a 'q' on the serial port ends it with 0.
std::string exchange_program();
/// Prints lines of eight hex digits, counting up from 1 to `lines` (0: for ever), with `delay` loop turns
/// between them and stores all over 256 KiB; then exits with 5.
std::string counter_program(unsigned lines, unsigned delay);
/// What counter_program prints.
std::string counter_text(unsigned lines);
/// Loops for ever / waits for an interrupt that cannot come / jumps to where nothing is, its trap handler
/// included.
std::string spin_program();
std::string wait_program();
std::string lost_program();

}  // namespace hindcast::cli_test
