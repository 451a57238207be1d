#include "tests/cli/guest.h"

#include <cstdio>
#include <stdexcept>

namespace hindcast::cli_test {
namespace {

void put(std::string& out, std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

std::uint32_t branch_bits(int offset) {
  auto o = static_cast<std::uint32_t>(offset);
  return (o >> 12 & 1) << 31 | (o >> 5 & 0x3f) << 25 | (o >> 1 & 0xf) << 8 | (o >> 11 & 1) << 7;
}

/// jal zero, over so many instructions.
std::uint32_t jump_bits(int distance) {
  auto o = static_cast<std::uint32_t>(distance * 4);
  return (o >> 20 & 1) << 31 | (o >> 1 & 0x3ff) << 21 | (o >> 11 & 1) << 20 | (o >> 12 & 0xff) << 12 | 0x6f;
}

using A = Assembler;

}  // namespace

Assembler::Assembler(unsigned xlen) : xlen_(xlen) {
  word(0x00000417);  // auipc s0, 0
  word(0x000014b7);  // lui s1, 1
  add(s1, s1, s0);
}

void Assembler::li(Register to, std::int32_t value) {
  std::int32_t low = static_cast<std::int32_t>(static_cast<std::uint32_t>(value) << 20) >> 20;
  std::uint32_t high = static_cast<std::uint32_t>(value) - static_cast<std::uint32_t>(low);
  if (high != 0) word(high | to << 7 | 0x37);  // lui
  i_type(high != 0 && xlen_ == 64 ? 0x1b : 0x13, 0, to, high != 0 ? to : zero, low);
}

void Assembler::i_type(unsigned opcode, unsigned f3, unsigned to, unsigned from, int value) {
  word(static_cast<std::uint32_t>(value) << 20 | from << 15 | f3 << 12 | to << 7 | opcode);
}

void Assembler::r_type(unsigned opcode, unsigned f3, unsigned f7, unsigned to, unsigned a, unsigned b) {
  word(f7 << 25 | b << 20 | a << 15 | f3 << 12 | to << 7 | opcode);
}

void Assembler::s_type(unsigned f3, unsigned base, unsigned value, int offset) {
  auto o = static_cast<std::uint32_t>(offset);
  word((o >> 5 & 0x7f) << 25 | value << 20 | base << 15 | f3 << 12 | (o & 0x1f) << 7 | 0x23);
}

void Assembler::branch(unsigned f3, unsigned a, unsigned b, unsigned label) {
  int offset = (static_cast<int>(label) - static_cast<int>(here())) * 4;
  word(branch_bits(offset) | b << 20 | a << 15 | f3 << 12 | 0x63);
}

unsigned Assembler::later(unsigned f3, unsigned a, unsigned b) {
  word(b << 20 | a << 15 | f3 << 12 | 0x63);
  return here() - 1;
}

void Assembler::bind(unsigned site) { code_[site] |= branch_bits(static_cast<int>(here() - site) * 4); }

void Assembler::jump(unsigned label) { word(jump_bits(static_cast<int>(label) - static_cast<int>(here()))); }

void Assembler::bind_jump(unsigned site) {
  code_[site] = jump_bits(static_cast<int>(here()) - static_cast<int>(site));
}

void Assembler::semihost(unsigned operation) {
  li(a0, static_cast<std::int32_t>(operation));
  word(0x01f01013);  // slli x0, x0, 0x1f
  word(0x00100073);  // ebreak
  word(0x40705013);  // srai x0, x0, 7
}

void Assembler::exit(Register code) {
  li(t0, 0x20026);
  store(t0, s1, 0);
  store(code, s1, static_cast<int>(xlen_ / 8));
  addi(a1, s1, 0);
  semihost(0x20);
}

std::string Assembler::elf(const std::string& data) const {
  constexpr unsigned kOffset = 0x1000;
  if (code_.size() * 4 > kData) throw std::runtime_error("program too long");
  std::string body;
  for (std::uint32_t instruction : code_) put(body, instruction, 4);
  body.resize(kData);
  body += data;
  const bool wide = xlen_ == 64;
  const unsigned word = xlen_ / 8, header = wide ? 64 : 52;
  std::string out = std::string("\x7f") + "ELF" + (wide ? '\x02' : '\x01') + "\x01\x01";
  out.resize(16);
  put(out, 2, 2);    // executable
  put(out, 243, 2);  // RISC-V
  put(out, 1, 4);
  put(out, kBase, word);  // entry
  put(out, header, word);
  put(out, symbols_.empty() ? 0 : kOffset + body.size(), word);  // section headers
  put(out, 0, 4);
  put(out, header, 2);
  put(out, wide ? 56 : 32, 2);
  put(out, 1, 2);
  put(out, symbols_.empty() ? 0 : wide ? 64 : 40, 2);
  put(out, symbols_.empty() ? 0 : 3, 2);
  put(out, symbols_.empty() ? 0 : 2, 2);
  put(out, 1, 4);  // PT_LOAD
  if (wide) put(out, 7, 4);
  put(out, kOffset, word);
  put(out, kBase, word);
  put(out, kBase, word);
  put(out, body.size(), word);
  put(out, 0x100000, word);
  if (!wide) put(out, 7, 4);
  put(out, 0x1000, word);
  out.resize(kOffset);
  out += body;
  return symbols_.empty() ? out : with_symbols(std::move(out));
}

/// Appends the headers of three sections (none, symbols, names), the symbols and the names.
std::string Assembler::with_symbols(std::string file) const {
  const bool wide = xlen_ == 64;
  const unsigned word = xlen_ / 8, entry = wide ? 24 : 16, section = wide ? 64 : 40;
  std::string symbols(entry, '\0'), names(1, '\0');
  for (std::size_t i = 0; i < symbols_.size(); ++i) {
    const auto& [at, name] = symbols_[i];
    const std::uint64_t size = 4 * ((i + 1 < symbols_.size() ? symbols_[i + 1].first : here()) - at);
    put(symbols, names.size(), 4);
    if (!wide) put(symbols, kBase + 4 * at, word), put(symbols, size, word);
    put(symbols, 0x12, 1);  // a global function
    put(symbols, 0, 1);
    put(symbols, 0xfff1, 2);  // absolute
    if (wide) put(symbols, kBase + 4 * at, word), put(symbols, size, word);
    names += name + '\0';
  }
  const std::size_t at = file.size() + 3 * section;
  file.resize(file.size() + section);
  const auto describe = [&](unsigned type, std::size_t offset, std::size_t size, unsigned link,
                            unsigned each) {
    put(file, 0, 4);
    put(file, type, 4);
    put(file, 0, word);
    put(file, 0, word);
    put(file, offset, word);
    put(file, size, word);
    put(file, link, 4);
    put(file, link / 2, 4);  // of symbols, the first global one
    put(file, 1, word);
    put(file, each, word);
  };
  describe(2, at, symbols.size(), 2, entry);
  describe(3, at + symbols.size(), names.size(), 0, 0);
  return file + symbols + names;
}

std::string exit_program(int code) {
  Assembler a;
  a.li(A::s2, code);
  a.exit(A::s2);
  return a.elf();
}

std::string print_program(const std::string& text) {
  Assembler a;
  a.addi(A::a1, A::s1, 0x100);
  a.semihost(0x04);
  a.exit(A::zero);
  return a.elf(std::string(0x100, '\0') + text + '\0');
}

namespace {

/// SYS_OPEN of the name at data + `name`; the handle goes to `handle`.
void open(A& a, int name, std::size_t length, unsigned mode, A::Register handle) {
  a.addi(A::t0, A::s1, name);
  a.sd(A::t0, A::s1, 0);
  a.li(A::t0, static_cast<int>(mode));
  a.sd(A::t0, A::s1, 8);
  a.li(A::t0, static_cast<int>(length));
  a.sd(A::t0, A::s1, 16);
  a.addi(A::a1, A::s1, 0);
  a.semihost(0x01);
  a.addi(handle, A::a0, 0);
}

/// SYS_READ or SYS_WRITE between `handle` and data + 0x200; the length is in `length`.
void transfer(A& a, unsigned operation, A::Register handle, A::Register length) {
  a.sd(handle, A::s1, 0);
  a.addi(A::t2, A::s1, 0x200);
  a.sd(A::t2, A::s1, 8);
  a.sd(length, A::s1, 16);
  a.addi(A::a1, A::s1, 0);
  a.semihost(operation);
}

}  // namespace

std::string copy_program(const std::string& from, const std::string& to) {
  A a;
  a.li(A::ra, -1);
  open(a, 0x80, from.size(), 0, A::s2);
  a.li(A::s5, 1);
  unsigned no_from = a.beq_later(A::s2, A::ra);
  open(a, 0x100, to.size(), 4, A::s3);
  a.li(A::s5, 2);
  unsigned no_to = a.beq_later(A::s3, A::ra);
  open(a, 0x180, 3, 4, A::s4);
  unsigned loop = a.here();
  a.li(A::t1, 64);
  transfer(a, 0x06, A::s2, A::t1);
  a.li(A::t1, 64);
  a.sub(A::t1, A::t1, A::a0);
  unsigned end = a.beq_later(A::t1, A::zero);
  transfer(a, 0x05, A::s3, A::t1);
  transfer(a, 0x05, A::s4, A::t1);
  a.jump(loop);
  a.bind(end);
  a.li(A::s5, 0);
  a.bind(no_from);
  a.bind(no_to);
  a.exit(A::s5);
  std::string data(0x180, '\0');
  data.replace(0x80, from.size(), from);
  data.replace(0x100, to.size(), to);
  return a.elf(data + ":tt");
}

std::string echo_program() {
  A a;
  open(a, 0x80, 3, 0, A::s2);
  open(a, 0x80, 3, 4, A::s3);
  unsigned loop = a.here();
  a.sd(A::s2, A::s1, 0);
  a.addi(A::t0, A::s1, 0x100);
  a.sd(A::t0, A::s1, 8);
  a.li(A::t0, 256);
  a.sd(A::t0, A::s1, 16);
  a.addi(A::a1, A::s1, 0);
  a.semihost(0x06);
  a.li(A::t0, 256);
  a.sub(A::t0, A::t0, A::a0);  // how many were read
  unsigned end = a.beq_later(A::t0, A::zero);
  a.sd(A::s3, A::s1, 0);
  a.sd(A::t0, A::s1, 16);
  a.addi(A::a1, A::s1, 0);
  a.semihost(0x05);
  a.jump(loop);
  a.bind(end);
  a.li(A::s2, 7);
  a.exit(A::s2);
  return a.elf(std::string(0x80, '\0') + ":tt");
}

namespace {

/// From the UART at s2 back to it; 'q' powers the board off.
void echo_serial(A& a) {
  a.li(A::s3, 'q');
  unsigned loop = a.here();
  a.lbu(A::t0, A::s2, 5);
  a.andi(A::t0, A::t0, 1);
  a.beq(A::t0, A::zero, loop);
  a.lbu(A::t1, A::s2, 0);
  a.sb(A::t1, A::s2, 0);
  a.bne(A::t1, A::s3, loop);
  a.li(A::t0, 0x100000);  // the test finisher
  a.li(A::t1, 0x5555);
  a.sw(A::t1, A::t0, 0);
  a.jump(a.here());
}

}  // namespace

std::string serial_boot_program() {
  A a;
  a.li(A::s2, 0x10000000);
  a.li(A::s4, 3);
  unsigned again = a.here();
  a.li(A::t0, 7);
  a.sb(A::t0, A::s2, 2);  // the FIFO, emptied
  for (char c : std::string("boot\n")) {
    unsigned wait = a.here();
    a.lbu(A::t0, A::s2, 5);
    a.andi(A::t0, A::t0, 0x20);
    a.beq(A::t0, A::zero, wait);
    a.li(A::t0, c);
    a.sb(A::t0, A::s2, 0);
  }
  a.li(A::t0, 100'000);
  unsigned delay = a.here();
  a.addi(A::t0, A::t0, -1);
  a.bne(A::t0, A::zero, delay);
  a.addi(A::s4, A::s4, -1);
  a.bne(A::s4, A::zero, again);
  echo_serial(a);
  return a.elf();
}

std::string exchange_program() {
  A a;
  a.li(A::s2, 0x10000000);
  a.li(A::s3, 'q');
  unsigned loop = a.here();
  a.lbu(A::t0, A::s2, 5);
  a.andi(A::t0, A::t0, 1);
  a.beq(A::t0, A::zero, loop);
  a.lbu(A::t0, A::s2, 0);
  unsigned quit = a.beq_later(A::t0, A::s3);
  a.sd(A::t0, A::s1, 0);
  a.addi(A::a1, A::s1, 0);
  a.semihost(0x03);
  a.semihost(0x07);
  a.sb(A::a0, A::s2, 0);
  a.jump(loop);
  a.bind(quit);
  a.exit(A::zero);
  return a.elf();
}

std::string serial_echo_program(bool fifo) {
  Assembler a;
  a.li(A::s2, 0x10000000);  // the UART
  if (fifo) {
    a.li(A::t0, 7);
    a.sb(A::t0, A::s2, 2);
    a.li(A::t0, 1);
    a.sb(A::t0, A::s2, 1);
  }
  echo_serial(a);
  return a.elf();
}

std::string counter_program(unsigned lines, unsigned delay) {
  Assembler a;
  a.li(A::s2, 0);
  a.li(A::s3, static_cast<int>(lines));
  unsigned loop = a.here();
  a.addi(A::s2, A::s2, 1);
  a.addi(A::t0, A::s2, 0);
  a.addi(A::s4, A::s1, 0x107);  // the last digit
  a.addi(A::s5, A::s1, 0xff);
  unsigned digits = a.here();
  a.andi(A::t1, A::t0, 15);
  a.add(A::t1, A::t1, A::s1);
  a.lbu(A::t1, A::t1, 0x200);
  a.sb(A::t1, A::s4, 0);
  a.srli(A::t0, A::t0, 4);
  a.addi(A::s4, A::s4, -1);
  a.bne(A::s4, A::s5, digits);
  a.addi(A::a1, A::s1, 0x100);
  a.semihost(0x04);
  a.andi(A::t0, A::s2, 63);  // one of 64 pages, from data + 0x10000
  a.slli(A::t0, A::t0, 12);
  a.add(A::t0, A::t0, A::s1);
  a.li(A::t1, 0x10000);
  a.add(A::t0, A::t0, A::t1);
  a.sd(A::s2, A::t0, 0);
  a.li(A::t1, static_cast<int>(delay));
  unsigned wait = a.here();
  a.addi(A::t1, A::t1, -1);
  a.bne(A::t1, A::zero, wait);
  a.bne(A::s2, A::s3, loop);
  a.li(A::s2, 5);
  a.exit(A::s2);
  return a.elf(std::string(0x108, '\0') + '\n' + std::string(0xf7, '\0') + "0123456789abcdef");
}

std::string counter_text(unsigned lines) {
  std::string text;
  for (unsigned i = 1; i <= lines; ++i) {
    char line[16];
    std::snprintf(line, sizeof line, "%08x\n", i);
    text += line;
  }
  return text;
}

std::string spin_program() {
  Assembler a;
  a.jump(a.here());
  return a.elf();
}

std::string wait_program() {
  Assembler a;
  unsigned loop = a.here();
  a.word(0x10500073);  // wfi
  a.jump(loop);
  return a.elf();
}

std::string lost_program() {
  Assembler a;
  a.li(A::t0, 0x40000000);
  a.word(0x30529073);  // csrw mtvec, t0
  a.jr(A::t0);
  return a.elf();
}

}  // namespace hindcast::cli_test
