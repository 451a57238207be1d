#include "gdb/monitor.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "gdb/memory.h"
#include "gdb/register_view.h"
#include "replay/session.h"

namespace hindcast::gdb {
namespace {

constexpr const char* kHelp =
    "when                     position, virtual time, and where the vCPU is\n"
    "seek N | +N | -N | P%    go to an instruction count, so many forward or back, or to a percentage\n"
    "seek begin | end | cN    go to the beginning, to the end, to checkpoint N\n"
    "events [N]               the next N recorded inputs from here (default 10)\n"
    "last-write ADDR [LEN]    which instruction last wrote to these bytes (default 1), before here\n"
    "checkpoint               remember this position;  checkpoint list: those remembered\n"
    "branch [FOLDER]          go on from here in a live run, recorded into FOLDER; what is recorded stays\n"
    "device [NAME]            the memory and devices of the board\n"
    "page ADDR                how the page tables translate an address: each entry on the way\n"
    "registers [NAME]         what the --svd file calls registers: peripherals, or one peripheral's, with "
    "values\n"
    "physical [on | off]      whether gdb's addresses of memory are physical ones\n"
    "plugin load NAME[,k=v]   a plugin, as after -p, watches from here on;  plugin list: those that do\n"
    "plugin unload N          plugin N reports and is gone\n"
    "After seek, gdb shows the new place once it has read the registers again:\n"
    "maintenance flush register-cache\n";

constexpr u64 kMaxEvents = 1000;
constexpr std::size_t kMaxCheckpoints = 10'000;

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> words;
  for (std::size_t at = 0; (at = line.find_first_not_of(" \t\r\n", at)) != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(" \t\r\n", at), line.size());
    words.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

u64 parse_number(const std::string& text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  const char* begin = text.data() + (hex ? 2 : 0);
  const char* end = text.data() + text.size();
  u64 value = 0;
  const auto [stop, error] = std::from_chars(begin, end, value, hex ? 16 : 10);
  if (error != std::errc{} || stop != end) throw Fatal(fmt::format("'{}' is not a number", text));
  return value;
}

/// Terminals are not to be driven by what a recording holds.
std::string printable(std::string_view text) {
  std::string out;
  for (char c : text)
    out += c >= ' ' && c <= '~' ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<u8>(c));
  return out;
}

std::string seconds(VirtualNs ns) {
  return fmt::format("{}.{:09} s", ns / 1'000'000'000, ns % 1'000'000'000);
}

std::string instruction(Machine& machine, unsigned vcpu, GuestAddr pc) {
  const std::string code =
      read_memory(machine.vcpu(vcpu), Space::Virtual, pc, machine.arch().max_insn_bytes());
  std::string text;
  const ByteView bytes(reinterpret_cast<const u8*>(code.data()), code.size());
  return machine.arch().disassemble(pc, bytes, text) == 0 ? "(not readable)" : text;
}

}  // namespace

std::string Monitor::run(std::string_view line, unsigned vcpu) try {
  const std::vector<std::string> words = split(line);
  if (words.empty() || words[0] == "help") return kHelp;
  const std::string first = words.size() > 1 ? words[1] : "";
  if (words[0] == "when") return when(vcpu);
  if (words[0] == "seek") return seek(first, vcpu);
  if (words[0] == "events") return events(first);
  if (words[0] == "last-write") return last_write(words, vcpu);
  if (words[0] == "checkpoint") return checkpoint(words);
  if (words[0] == "branch") return branch(first);
  if (words[0] == "device") return devices(first);
  if (words[0] == "registers") return register_view(navigator_.machine(), first);
  if (words[0] == "page") return page(first, vcpu);
  if (words[0] == "physical") return physical(first);
  if (words[0] == "plugin") return plugin(words);
  return fmt::format("'{}' is no monitor command; see monitor help\n", printable(words[0]));
} catch (const Fatal& fatal) {
  return fmt::format("{}\n", printable(fatal.what()));
}

std::string Monitor::where(Icount icount) const {
  const Icount end = navigator_.end();
  const double percent = end == 0 ? 100.0 : 100.0 * static_cast<double>(icount) / static_cast<double>(end);
  return fmt::format("icount {} of {} ({:.1f} %)", icount, end, percent);
}

std::string Monitor::when(unsigned vcpu) {
  Machine& machine = navigator_.machine();
  const GuestAddr pc = machine.vcpu(vcpu).pc();
  return fmt::format("{}, virtual time {}\nvCPU {} at {:#x}: {}\n", where(navigator_.position()),
                     seconds(machine.clock().now()), vcpu, pc, instruction(machine, vcpu, pc));
}

Icount Monitor::parse_position(const std::string& text) {
  const Icount begin = navigator_.begin(), end = navigator_.end(), here = navigator_.position();
  if (text.empty()) throw Fatal("seek where? N, +N, -N, P%, begin, end or cN");
  if (text == "begin") return begin;
  if (text == "end") return end;
  Icount to = 0;
  if (text.front() == 'c') {
    const u64 number = parse_number(text.substr(1));
    if (number == 0 || number > checkpoints_.size())
      throw Fatal(fmt::format("there is no checkpoint {}", number));
    to = checkpoints_[number - 1];
  } else if (text.back() == '%') {
    double percent = 0;
    const char* stop = text.data() + text.size() - 1;
    const auto result = std::from_chars(text.data(), stop, percent);
    if (result.ec != std::errc{} || result.ptr != stop || !(percent >= 0 && percent <= 100))
      throw Fatal(fmt::format("'{}' is not a percentage from 0% to 100%", text));
    to = static_cast<Icount>(std::llround(static_cast<double>(end) * percent / 100.0));
  } else if (text.front() == '+') {
    const u64 by = parse_number(text.substr(1));
    to = by > end - here ? end : here + by;
  } else if (text.front() == '-') {
    const u64 by = parse_number(text.substr(1));
    to = by > here - begin ? begin : here - by;
  } else {
    to = parse_number(text);
  }
  return std::clamp(to, begin, end);
}

std::string Monitor::seek(const std::string& to, unsigned vcpu) {
  tracing_.leave_frame();
  const bool interrupted = motion_.seek(parse_position(to)).kind == replay::NavStop::Kind::Interrupted;
  return (interrupted ? "interrupted on the way\n" : "") + when(vcpu);
}

std::string Monitor::events(const std::string& count) {
  if (timeline_ == nullptr) return "there is no event log\n";
  timeline_->settle();
  u64 left = count.empty() ? 10 : std::min(parse_number(count), kMaxEvents);
  std::string out;
  replay::events(timeline_->path(), navigator_.position(), kNever, [&](const replay::EventLine& event) {
    if (left == 0) return false;
    --left;
    out += fmt::format("{:>14}.{:<3} {:<16} channel {}, {} bytes  {}\n", event.position.icount,
                       event.position.seq, event.kind, event.channel, event.size, printable(event.text));
    return true;
  });
  return out.empty() ? "no more events\n" : out;
}

std::string Monitor::last_write(const std::vector<std::string>& words, unsigned vcpu) {
  if (words.size() < 2 || words.size() > 3) return "last-write ADDR [LEN]\n";
  const GuestAddr address = parse_number(words[1]);
  const u64 size = words.size() > 2 ? parse_number(words[2]) : 1;
  if (size == 0 || size > Motion::kMaxWatchBytes) return "LEN is from 1 to 4294967296\n";
  const auto store = motion_.last_store(navigator_.machine().vcpu(vcpu), address, size);
  if (!store && motion_.interrupted()) return "interrupted\n";
  if (!store)
    return fmt::format("no instruction wrote to {:#x} before icount {}\n", address, navigator_.position());
  return fmt::format(
      "{}: vCPU {} at {:#x}: {}\nwrote {} bytes at {:#x}: {:#x}, was {:#x}; monitor seek {} goes there\n",
      where(store->icount), store->vcpu, store->pc, instruction(navigator_.machine(), store->vcpu, store->pc),
      store->hit.size, store->hit.address, store->hit.new_value, store->hit.old_value, store->icount);
}

std::string Monitor::checkpoint(const std::vector<std::string>& words) {
  if (words.size() == 1) {
    if (checkpoints_.size() >= kMaxCheckpoints) return "too many checkpoints\n";
    checkpoints_.push_back(navigator_.position());
    return fmt::format("checkpoint {}: {}; monitor seek c{} comes back\n", checkpoints_.size(),
                       where(navigator_.position()), checkpoints_.size());
  }
  if (words[1] != "list") return "checkpoint, or checkpoint list\n";
  std::string out;
  for (std::size_t i = 0; i < checkpoints_.size(); ++i)
    out += fmt::format("c{}: {}\n", i + 1, where(checkpoints_[i]));
  return out.empty() ? "no checkpoints\n" : out;
}

std::string Monitor::branch(const std::string& folder) {
  if (timeline_ == nullptr) return "there is nothing to branch from\n";
  std::string path = folder;
  struct stat status {};
  for (unsigned i = 1; path.empty(); ++i)
    if (const std::string free = fmt::format("{}.branch{}", timeline_->path(), i);
        ::lstat(free.c_str(), &status) != 0)
      path = free;
  tracing_.leave_frame();
  timeline_->branch(path);
  tracing_.drop_frames();
  return fmt::format("a live run from {}, recorded into {}\n", where(navigator_.position()), printable(path));
}

std::string Monitor::devices(const std::string& name) {
  Machine& machine = navigator_.machine();
  std::string out;
  auto row = [&](const std::string& what, GuestAddr base, u64 size, const char* kind) {
    if (name.empty() || what == name)
      out += fmt::format("{:#012x}-{:#012x} {:<8} {}\n", base, base + size - 1, kind, what);
  };
  for (const auto& block : machine.memory().ram_blocks())
    row(block->name, block->base, block->size, block->rom ? "rom" : "ram");
  for (const auto& range : machine.memory().devices()) row(range.name, range.base, range.size, "device");
  return out.empty() ? fmt::format("there is no device '{}'\n", printable(name)) : out;
}

std::string Monitor::plugin(const std::vector<std::string>& words) {
  if (plugins_ == nullptr) return "there can be no plugins here\n";
  const std::string verb = words.size() > 1 ? words[1] : "list";
  if (verb == "list" && words.size() <= 2) return plugins_->list();
  if (verb == "load" && words.size() == 3) return plugins_->load(words[2]);
  if (verb == "unload" && words.size() == 3) {
    const u64 number = parse_number(words[2]);
    if (number > std::numeric_limits<unsigned>::max())
      throw Fatal(fmt::format("there is no plugin {}", number));
    return plugins_->unload(static_cast<unsigned>(number));
  }
  return "plugin load NAME[,OPTION=VALUE...], plugin unload N, or plugin list\n";
}

std::string Monitor::page(const std::string& address, unsigned vcpu) {
  if (address.empty()) return "page ADDR\n";
  Machine& machine = navigator_.machine();
  const std::string text = machine.arch().describe_translation(machine.vcpu(vcpu), parse_number(address));
  return text.empty() ? "this CPU has no page tables\n" : text;
}

std::string Monitor::physical(const std::string& word) {
  if (word == "on" || word == "off")
    space_ = word == "on" ? Space::Physical : Space::Virtual;
  else if (!word.empty())
    return "physical on, or physical off\n";
  return space_ == Space::Physical ? "addresses are physical\n" : "addresses are virtual\n";
}

}  // namespace hindcast::gdb
