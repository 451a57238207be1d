#include "tests/oracle/runner.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "engine/registry.h"
#include "targets/riscv/features.h"
#include "targets/targets.h"

namespace hindcast::oracle {
namespace {

void register_targets_once() {
  static const bool done = [] {
    targets::register_all();
    return true;
  }();
  (void)done;
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return text;
  char buffer[4096];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  return pclose(pipe) == 0 ? text : "";
}

/// What QEMU is asked for beside its model; versions spell some differently.
struct Extension {
  u64 bit;
  const char* names[2];
};
constexpr Extension kExtensions[] = {
    {riscv::ext::Zba, {"zba", nullptr}},         {riscv::ext::Zbb, {"zbb", nullptr}},
    {riscv::ext::Zbc, {"zbc", nullptr}},         {riscv::ext::Zbs, {"zbs", nullptr}},
    {riscv::ext::Zfh, {"zfh", "Zfh"}},           {riscv::ext::Zicond, {"zicond", nullptr}},
    {riscv::ext::Zcb, {"zcb", nullptr}},         {riscv::ext::Zawrs, {"zawrs", "Zawrs"}},
    {riscv::ext::Zicbom, {"zicbom", nullptr}},   {riscv::ext::Zicboz, {"zicboz", nullptr}},
    {riscv::ext::Svinval, {"svinval", nullptr}}, {riscv::ext::Zacas, {"zacas", nullptr}},
    {riscv::ext::Zabha, {"zabha", nullptr}},     {riscv::ext::Zbkb, {"zbkb", nullptr}},
    {riscv::ext::Zbkc, {"zbkc", nullptr}},       {riscv::ext::Zbkx, {"zbkx", nullptr}},
    {riscv::ext::Zknd, {"zknd", nullptr}},       {riscv::ext::Zkne, {"zkne", nullptr}},
    {riscv::ext::Zknh, {"zknh", nullptr}},       {riscv::ext::Zksed, {"zksed", nullptr}},
    {riscv::ext::Zksh, {"zksh", nullptr}},
};

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

/// Instructions that a program may take, with much to spare; beyond it it is lost.
u64 icount_limit(const Program& program) {
  return 100'000 + u64{program.blocks.size()} * program.loops * 4'000;
}

}  // namespace

ProgramResult run_here(const Program& program, const EngineOptions& engine, const std::string& cpu) {
  register_targets_once();
  MachineConfig config;
  config.machine = "virt";
  config.cpu = cpu;
  config.memory_bytes = kRamBytes;
  config.files.push_back({"kernel", "program.elf", kNever, build_image(program)});
  SilentPort port;
  std::unique_ptr<Machine> machine = Registry::instance().build(config, engine, port);
  const StopReason reason = machine->run(icount_limit(program));
  if (reason != StopReason::Exit || machine->exit_code() != 0) {
    throw std::runtime_error(
        "the program did not end: stop reason " + std::to_string(static_cast<int>(reason)) + " at icount " +
        std::to_string(machine->icount()) + ", pc " + std::to_string(machine->current().pc()));
  }
  const u8* ram = machine->memory().peek(kBase, kRamBytes);
  if (ram == nullptr) throw std::runtime_error("the board's RAM is not where it should be");
  return read_results(program, {ram, kRamBytes});
}

std::optional<Qemu> Qemu::find(unsigned xlen, const std::vector<std::string>& off) {
  Qemu q;
  q.command_ = "qemu-system-riscv" + std::to_string(xlen);
  q.version_ = output_of(q.command_ + " --version");
  q.version_ = q.version_.substr(0, q.version_.find('\n'));
  if (q.version_.empty()) return std::nullopt;
  q.cpu_ = "rv" + std::to_string(xlen);
  for (const Extension& e : kExtensions) {
    q.missing_ |= e.bit;
    for (const char* name : e.names) {
      if (name == nullptr || !q.knows(name)) continue;
      q.cpu_ += std::string(",") + name + "=true";
      q.missing_ &= ~e.bit;
      break;
    }
  }
  // What its model has and ours has not: what is illegal here is an instruction there.
  for (const char* name : {"zfa", "zimop", "zcmop"})
    if (q.knows(name)) q.cpu_ += std::string(",") + name + "=false";
  constexpr u64 kEither = riscv::ext::Zknd | riscv::ext::Zkne;
  if ((q.missing_ & kEither) == kEither) q.missing_ |= riscv::ext::ZkndZkne;
  for (const std::string& name : off)
    q.cpu_ += "," + (name.starts_with("zfh") ? "Z" + name.substr(1) : name) + "=false";
  return q;
}

bool Qemu::knows(const char* feature) const {
  // A property that the model does not have is an error.
  return !output_of("echo quit | " + command_ +
                    " -M virt -bios none -display none -serial none -monitor stdio -S -cpu " + cpu_ + "," +
                    feature + "=true")
              .empty();
}

ProgramResult Qemu::run(const Program& program) const {
  TemporaryFolder folder;
  const std::string image = folder.file("program.elf"), ram_file = folder.file("ram");
  const Bytes elf = build_image(program);
  FILE* out = fopen(image.c_str(), "wb");
  if (out == nullptr || fwrite(elf.data(), 1, elf.size(), out) != elf.size() || fclose(out) != 0)
    throw std::runtime_error("cannot write " + image);
  const std::string command =
      "timeout 60 " + command_ +
      " -M virt,memory-backend=ram -m 16M -object memory-backend-file,id=ram,size=16M,share=on,mem-path=" +
      ram_file + " -cpu " + cpu_ + " -bios none -display none -serial none -monitor none -nic none -kernel " +
      image + " </dev/null >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
  const int fd = open(ram_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw std::runtime_error("no RAM file from " + command_);
  void* map = mmap(nullptr, kRamBytes, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (map == MAP_FAILED) throw std::runtime_error("cannot map " + ram_file);
  ProgramResult result = read_results(program, {static_cast<const u8*>(map), kRamBytes});
  munmap(map, kRamBytes);
  return result;
}

}  // namespace hindcast::oracle
