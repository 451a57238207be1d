#include "tests/oracle_arm/compare.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "engine/registry.h"
#include "targets/targets.h"
#include "tests/oracle/operands.h"

namespace hindcast::oracle_arm {
namespace {

/// A folder that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "hindcast-oracle-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder could be made");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::vector<std::size_t> differing(const ProgramResult& a, const ProgramResult& b) {
  std::vector<std::size_t> list;
  for (std::size_t i = 0; i < a.blocks.size(); ++i)
    if (a.blocks[i] != b.blocks[i]) list.push_back(i);
  if (a.scratch != b.scratch) list.push_back(a.blocks.size());
  return list;
}

Program shrink(const Program& program, const std::vector<std::size_t>& blocks,
               const std::function<bool(const Program&)>& differs) {
  Program small = program;
  for (const std::size_t i : blocks) {
    if (i >= program.blocks.size()) continue;
    small.blocks = {program.blocks[i]};
    if (differs(small)) break;
    small.blocks = program.blocks;
  }
  for (std::size_t chunk = small.blocks.size() / 2; small.blocks.size() > 1 && chunk > 0; chunk /= 2) {
    for (std::size_t at = 0; at < small.blocks.size() && small.blocks.size() > 1;) {
      Program trial = small;
      const std::size_t end = std::min(at + chunk, trial.blocks.size());
      trial.blocks.erase(trial.blocks.begin() + static_cast<long>(at),
                         trial.blocks.begin() + static_cast<long>(end));
      if (!trial.blocks.empty() && differs(trial))
        small = std::move(trial);
      else
        at += chunk;
    }
  }
  for (std::size_t b = 0; b < small.blocks.size(); ++b) {
    for (std::size_t at = small.blocks[b].items.size(); at-- > 0;) {
      Program trial = small;
      trial.blocks[b].items.erase(trial.blocks[b].items.begin() + static_cast<long>(at));
      if (differs(trial)) small = std::move(trial);
    }
  }
  return small;
}

std::string describe(const arm::ArmArch& arch, const Program& program, const ProgramResult& a,
                     const ProgramResult& b, const std::string& name_a, const std::string& name_b) {
  std::string text = fmt::format("{} block(s), {} loop(s)\n", program.blocks.size(), program.loops);
  const auto line = [&](const std::string& what, u64 va, u64 vb) {
    if (va != vb) text += fmt::format("  {:<12} {} {:#x}   {} {:#x}\n", what, name_a, va, name_b, vb);
  };
  for (std::size_t i = 0; i < program.blocks.size(); ++i) {
    const Block& block = program.blocks[i];
    text += fmt::format("block {}:\n", i);
    for (const Item& item : block.items) {
      for (const Item::Piece& piece : item.pieces) {
        const u32 first = piece.length == 2 ? piece.bits : piece.bits >> 16;
        const u8 code[4] = {static_cast<u8>(first), static_cast<u8>(first >> 8), static_cast<u8>(piece.bits),
                            static_cast<u8>(piece.bits >> 8)};
        std::string words;
        arch.disassemble(0, ByteView(code, piece.length), words);
        text += fmt::format("  {:0{}x}  {}\n", piece.bits, piece.length * 2, words);
      }
    }
    text += "inputs:\n ";
    for (unsigned r = 0; r < 15; ++r) text += fmt::format(" r{}={:#x}", r, block.inputs.r[r]);
    text += fmt::format(" xpsr={:#x} fpscr={:#x}\n", block.inputs.xpsr, block.inputs.fpscr);
    if (arch.has(arm::ext::Vfp))
      for (unsigned n = 0; n < 32; ++n) text += fmt::format(" s{}={:#x}", n, block.inputs.s[n]);
    text += "\ndifferences:\n";
    const BlockResult &ra = a.blocks[i], &rb = b.blocks[i];
    for (unsigned r = 0; r < 15; ++r) line(fmt::format("r{}", r), ra.r[r], rb.r[r]);
    for (unsigned n = 0; n < 32; ++n) line(fmt::format("s{}", n), ra.s[n], rb.s[n]);
    line("xpsr", ra.xpsr, rb.xpsr);
    line("fpscr", ra.fpscr, rb.fpscr);
    for (std::size_t f = 0; f < std::max(ra.faults.size(), rb.faults.size()); ++f) {
      const Fault fa = f < ra.faults.size() ? ra.faults[f] : Fault{};
      const Fault fb = f < rb.faults.size() ? rb.faults[f] : Fault{};
      line(fmt::format("fault {}", f), fa.exception, fb.exception);
      line(fmt::format("fault {} pc", f), fa.pc, fb.pc);
      line(fmt::format("fault {} cfsr", f), fa.cfsr, fb.cfsr);
      line(fmt::format("fault {} bfar", f), fa.address, fb.address);
    }
  }
  for (std::size_t i = 0, shown = 0; i < a.scratch.size() && shown < 16; ++i) {
    if (a.scratch[i] == b.scratch[i]) continue;
    line(fmt::format("scratch+{:#x}", i), a.scratch[i], b.scratch[i]);
    ++shown;
  }
  return text;
}

}  // namespace

namespace {

std::unique_ptr<Machine> machine_with(const Target& target, const Program& program,
                                      const EngineOptions& engine, InputPort& port) {
  targets::register_all();
  MachineConfig config;
  config.machine = target.board;
  config.cpu = target.cpu;
  config.semihosting = true;
  config.files.push_back({"kernel", "program.elf", kNever, build_image(target, program)});
  return Registry::instance().build(config, engine, port);
}

u64 limit_of(const Program& program) { return 100'000 + u64{program.blocks.size()} * program.loops * 6'000; }

ProgramResult results_of(const Target& target, const Program& program, Machine& machine, StopReason reason) {
  if (reason != StopReason::Exit || machine.exit_code() != 0) {
    throw std::runtime_error(fmt::format("the program did not end: stop reason {} at icount {}, pc {:#x}",
                                         static_cast<int>(reason), machine.icount(), machine.current().pc()));
  }
  const u8* data = machine.memory().peek(target.data, kDataBytes);
  if (data == nullptr) throw std::runtime_error("the board's memory is not where it should be");
  return read_results(program, {data, kDataBytes});
}

/// A handler that leaves nothing as it was in what the frame holds, and returns.
Bytes nmi_handler(bool fp) {
  Bytes code;
  const auto half = [&code](u32 bits) {
    code.push_back(static_cast<u8>(bits));
    code.push_back(static_cast<u8>(bits >> 8));
  };
  for (const u32 bits : {0x205au, 0x4601u, 0x4602u, 0x4603u, 0x4684u}) half(bits);  // r0 to r3, r12
  // Floating-point state is the program's only if the frame has room for it.
  if (fp)
    for (const u32 bits : {0x4670u, 0x06c0u, 0xd405u,                              // bit 4 of EXC_RETURN
                           0xee00u, 0x0a10u, 0xee07u, 0x0a90u, 0xeee1u, 0x0a10u})  // s0, s15, fpscr
      half(bits);
  half(0x2800);  // cmp r0, #0
  half(0x4770);  // bx lr
  return code;
}

}  // namespace

ProgramResult run_here(const Target& target, const Program& program, const EngineOptions& engine) {
  SilentPort port;
  const std::unique_ptr<Machine> machine = machine_with(target, program, engine, port);
  return results_of(target, program, *machine, machine->run(limit_of(program)));
}

ProgramResult run_interrupted(const Target& target, const Program& program, const EngineOptions& engine,
                              u64 seed) {
  const GuestAddr handler_at = target.code + 0x70000;
  SilentPort port;
  const std::unique_ptr<Machine> machine = machine_with(target, program, engine, port);
  const Bytes handler = nmi_handler(target.fp);
  const u32 vector = static_cast<u32>(handler_at) | 1;
  machine->memory().host_write(handler_at, handler.data(), handler.size());
  machine->memory().host_write(target.code + 8, &vector, sizeof vector);
  oracle::Random random(seed);
  const u64 limit = 20 * limit_of(program);
  StopReason reason = StopReason::Limit;
  // The image's first instructions enable what the handler uses.
  for (u64 next = 2'000; reason == StopReason::Limit && machine->icount() < limit;
       next = machine->icount() + 1 + random.below(9)) {
    reason = machine->run(next);
    // One more during its handler would be taken right behind it, and the program never come to anything.
    if (machine->vcpu(0).state<arm::ArmState>().active.has(arm::exc::kNmi)) continue;
    machine->vcpu(0).set_irq(arm::ArmArch::kNmiLine, true);
    machine->vcpu(0).set_irq(arm::ArmArch::kNmiLine, false);
  }
  return results_of(target, program, *machine, reason);
}

std::optional<Qemu> Qemu::find() {
  Qemu q;
  FILE* pipe = popen("qemu-system-arm --version 2>/dev/null", "r");
  if (pipe == nullptr) return std::nullopt;
  char buffer[256];
  if (fgets(buffer, sizeof buffer, pipe) != nullptr) q.version_ = buffer;
  if (pclose(pipe) != 0 || q.version_.empty()) return std::nullopt;
  q.version_.pop_back();
  return q;
}

ProgramResult Qemu::run(const Target& target, const Program& program) const {
  TemporaryFolder folder;
  const std::string image = folder.file("program.elf"), memory = folder.file("memory");
  const Bytes elf = build_image(target, program);
  FILE* out = fopen(image.c_str(), "wb");
  if (out == nullptr || fwrite(elf.data(), 1, elf.size(), out) != elf.size() || fclose(out) != 0)
    throw std::runtime_error("cannot write " + image);
  const std::string command = fmt::format(
      "timeout 60 qemu-system-arm -M {},memory-backend=ram -object "
      "memory-backend-file,id=ram,size={},share=on,mem-path={} -semihosting -display none -serial none "
      "-monitor none -nic none -kernel {} </dev/null >/dev/null 2>&1",
      target.board, target.data_size, memory, image);
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
  const int fd = open(memory.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("no memory file from qemu-system-arm");
  void* map = mmap(nullptr, kDataBytes, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (map == MAP_FAILED) throw std::runtime_error("cannot map " + memory);
  ProgramResult result = read_results(program, {static_cast<const u8*>(map), kDataBytes});
  munmap(map, kDataBytes);
  return result;
}

std::string compare(const arm::ArmArch& arch, const Program& program, const Side& a, const Side& b,
                    const std::string& name_a, const std::string& name_b) {
  const std::vector<std::size_t> blocks = differing(a(program), b(program));
  if (blocks.empty()) return "";
  const Program small =
      shrink(program, blocks, [&](const Program& p) { return !differing(a(p), b(p)).empty(); });
  return describe(arch, small, a(small), b(small), name_a, name_b);
}

}  // namespace hindcast::oracle_arm
