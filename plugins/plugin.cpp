#include "plugins/plugin.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "plugins/include/hindcast-plugin.h"

namespace hindcast::plugins {
namespace {

constexpr int kSegmentsVersion = 3;
/// Ids mean nothing, and must not be taken for small numbers.
constexpr u64 kFirstId = 0x9e3779b97f4a7c15;

/// One line of what the loader says.
std::string loader_message() {
  const char* message = ::dlerror();
  std::string line = message == nullptr ? "unknown error" : message;
  return line.substr(0, line.find('\n'));
}

/// The name under which to open the file: its own, or that of a copy if it is open already, because a second
/// instance needs variables of its own.
std::string name_to_open(const std::string& path) {
  static std::set<std::pair<dev_t, ino_t>> opened;
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0 || opened.insert({status.st_dev, status.st_ino}).second) return path;
  const int from = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const int copy = ::memfd_create("hindcast-plugin", MFD_CLOEXEC);
  bool copied = from >= 0 && copy >= 0;
  for (off_t left = status.st_size; copied && left > 0;) {
    const ssize_t n = ::sendfile(copy, from, nullptr, static_cast<std::size_t>(left));
    copied = n > 0;
    left -= n;
  }
  if (from >= 0) ::close(from);
  if (!copied) throw Fatal(fmt::format("plugin '{}': cannot be loaded a second time", path));
  return fmt::format("/proc/self/fd/{}", copy);  // open for as long as the process
}

/// Whether a shared object is as long as its segments say; the loader maps it unseen, and reading what is not
/// there ends the process. What is no shared object of this host is the loader's to refuse.
bool is_whole(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return true;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  ElfW(Ehdr) header = {};
  bool whole = true;
  if (::pread(fd, &header, sizeof header, 0) == sizeof header &&
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64) {
    const auto size = static_cast<u64>(status.st_size);
    for (unsigned k = 0; k < header.e_phnum && whole; ++k) {
      ElfW(Phdr) segment = {};
      whole = ::pread(fd, &segment, sizeof segment,
                      static_cast<off_t>(header.e_phoff + k * sizeof segment)) == sizeof segment &&
              (segment.p_type != PT_LOAD ||
               (segment.p_offset <= size && segment.p_filesz <= size - segment.p_offset));
    }
  }
  ::close(fd);
  return whole;
}

}  // namespace

Plugin::Plugin(PluginSpec spec, unsigned number)
    : spec_(std::move(spec)), number_(number), id_(kFirstId * number) {
  std::error_code error;
  // A pipe would be waited for.
  if (std::filesystem::exists(spec_.path, error) && !std::filesystem::is_regular_file(spec_.path, error))
    throw Fatal(fmt::format("plugin '{}' cannot be loaded: it is no file", name()));
  if (!is_whole(spec_.path))
    throw Fatal(fmt::format("plugin '{}' cannot be loaded: the file is cut short", name()));
  // Everything that it needs is looked up now: a missing function is said here and not in the middle of a
  // run.
  handle_ = ::dlopen(name_to_open(spec_.path).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ == nullptr)
    throw Fatal(fmt::format("plugin '{}' cannot be loaded: {}", name(), loader_message()));
  install_ = ::dlsym(handle_, "qemu_plugin_install");
  const auto* version = static_cast<const int*>(::dlsym(handle_, "qemu_plugin_version"));
  if (install_ == nullptr || version == nullptr)
    throw Fatal(fmt::format("plugin '{}' is none: it does not export {}", name(),
                            install_ == nullptr ? "qemu_plugin_install" : "qemu_plugin_version"));
  version_ = *version;
  if (version_ < kMinVersion || version_ > kMaxVersion)
    throw Fatal(fmt::format(
        "plugin '{}' was built for version {} of the plugin interface; versions {} to {} load here", name(),
        version_, kMinVersion, kMaxVersion));
  segments_ = static_cast<const hindcast_plugin_segments*>(::dlsym(handle_, "hindcast_plugin_segments"));
  if (segments_ != nullptr && (segments_->version < 1 || segments_->version > kSegmentsVersion))
    segments_ = nullptr;
  if (segments_ != nullptr && (segments_->save == nullptr || segments_->merge == nullptr))
    throw Fatal(fmt::format("plugin '{}': its hindcast_plugin_segments lacks {}", name(),
                            segments_->save == nullptr ? "save" : "merge"));
  find_code();
  if (!contains(install_))
    throw Fatal(fmt::format("plugin '{}' is none: its qemu_plugin_install is not a function", name()));
  find_changes();
  for (std::string& option : spec_.options) argv_.push_back(option.data());
  argv_.push_back(nullptr);
}

void Plugin::ask_segments() {
  if (segments_ != nullptr && segments_->possible != nullptr &&
      !segments_->possible(static_cast<int>(argv_.size()) - 1, argv_.data()))
    segments_ = nullptr;
}

bool Plugin::can_begin_again() const {
  return segments_ != nullptr && segments_->version >= 2 && segments_->begin != nullptr;
}

bool Plugin::wants_blocks_again() const { return segments_->version >= 3 && segments_->announce; }

void Plugin::begin_again() const { segments_->begin(); }

void Plugin::find_code() {
  Dl_info info = {};
  if (::dladdr(install_, &info) == 0) return;
  struct Search {
    u64 base;
    std::vector<Range>* out;
  } search{reinterpret_cast<u64>(info.dli_fbase), &code_};
  ::dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* data) {
        auto& wanted = *static_cast<Search*>(data);
        std::vector<Range> ranges;
        bool found = false;
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& segment = object->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD) continue;
          const u64 begin = object->dlpi_addr + segment.p_vaddr;
          found |= begin <= wanted.base && wanted.base < begin + segment.p_memsz;
          if ((segment.p_flags & PF_X) != 0) ranges.push_back({begin, begin + segment.p_memsz});
        }
        if (found) *wanted.out = ranges;
        return found ? 1 : 0;
      },
      &search);
}

std::string Plugin::text() const {
  std::string out = spec_.name;
  for (const std::string& option : spec_.options) out += "," + option;
  return out;
}

/// By the functions that its relocations name.
void Plugin::find_changes() {
  const link_map* map = nullptr;
  if (::dlinfo(handle_, RTLD_DI_LINKMAP, &map) != 0) return;
  const auto pointer = [&](u64 value) { return value < map->l_addr ? value + map->l_addr : value; };
  u64 symbols = 0, strings = 0, tables[2] = {}, sizes[2] = {};
  for (const ElfW(Dyn)* entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) switch (entry->d_tag) {
      case DT_SYMTAB: symbols = pointer(entry->d_un.d_ptr); break;
      case DT_STRTAB: strings = pointer(entry->d_un.d_ptr); break;
      case DT_RELA: tables[0] = pointer(entry->d_un.d_ptr); break;
      case DT_RELASZ: sizes[0] = entry->d_un.d_val; break;
      case DT_JMPREL: tables[1] = pointer(entry->d_un.d_ptr); break;
      case DT_PLTRELSZ: sizes[1] = entry->d_un.d_val; break;
      default: break;
    }
  if (symbols == 0 || strings == 0) return;
  for (int t = 0; t < 2; ++t) {
    const auto* relocation = reinterpret_cast<const ElfW(Rela)*>(tables[t]);
    for (u64 i = 0; relocation != nullptr && i < sizes[t] / sizeof *relocation; ++i) {
      const auto& symbol = reinterpret_cast<const ElfW(Sym)*>(symbols)[ELF64_R_SYM(relocation[i].r_info)];
      const std::string_view name = reinterpret_cast<const char*>(strings) + symbol.st_name;
      changes_registers_ |= name == "qemu_plugin_write_register" || name == "qemu_plugin_set_pc";
      changes_memory_ |= name == "qemu_plugin_write_memory_vaddr" ||
                         name == "qemu_plugin_write_memory_hwaddr" || name == "qemu_plugin_update_ns";
    }
  }
}

bool Plugin::contains(const void* address) const {
  const u64 at = reinterpret_cast<u64>(address);
  return std::any_of(code_.begin(), code_.end(),
                     [at](const Range& r) { return at >= r.begin && at < r.end; });
}

int Plugin::install(const RunFacts& facts) {
  qemu_info_t info = {};
  info.target_name = facts.target.c_str();
  info.version.min = kMinVersion;
  info.version.cur = kMaxVersion;
  info.system_emulation = true;
  info.system.smp_vcpus = info.system.max_vcpus = static_cast<int>(facts.vcpus);
  using Install = int (*)(u64, const qemu_info_t*, int, char**);
  return reinterpret_cast<Install>(install_)(id_, &info, static_cast<int>(argv_.size()) - 1, argv_.data());
}

// ---- what the versions differ in: up to 6 callbacks got the id, from 7 on all get user data
// ---------------

void Plugin::call_vcpu(const Callback& callback, unsigned vcpu) const {
  if (callback.fn == nullptr) return;
  if (version_ >= 7)
    reinterpret_cast<void (*)(unsigned, void*)>(callback.fn)(vcpu, callback.data);
  else
    reinterpret_cast<void (*)(u64, unsigned)>(callback.fn)(id_, vcpu);
}

void Plugin::call_simple(const Callback& callback) const {
  if (callback.fn == nullptr) return;
  if (version_ >= 7)
    reinterpret_cast<void (*)(void*)>(callback.fn)(callback.data);
  else  // those without user data ignore the second argument
    reinterpret_cast<void (*)(u64, void*)>(callback.fn)(id_, callback.data);
}

void Plugin::call_translated(qemu_plugin_tb* tb) const {
  const Callback& callback = get(Event::TbTrans);
  if (callback.fn == nullptr) return;
  if (version_ >= 7)
    reinterpret_cast<void (*)(qemu_plugin_tb*, void*)>(callback.fn)(tb, callback.data);
  else
    reinterpret_cast<void (*)(u64, qemu_plugin_tb*)>(callback.fn)(id_, tb);
}

void Plugin::call_discon(unsigned vcpu, int type, u64 from, u64 to) const {
  const Callback& callback = get(Event::Discon);
  if (callback.fn == nullptr || (discon_types & type) == 0) return;
  if (version_ >= 7)
    reinterpret_cast<void (*)(unsigned, int, u64, u64, void*)>(callback.fn)(vcpu, type, from, to,
                                                                            callback.data);
  else
    reinterpret_cast<void (*)(u64, unsigned, int, u64, u64)>(callback.fn)(id_, vcpu, type, from, to);
}

}  // namespace hindcast::plugins
