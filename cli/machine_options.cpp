#include "cli/machine_options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <limits>

#include "cli/network_options.h"
#include "cli/values.h"
#include "semihost/host_files.h"

namespace hindcast::cli {
namespace {

constexpr u64 kMiB = 1u << 20;
constexpr u64 kMaxIcountShift = 10;
constexpr const char* kUsersBoard = "board";
using Format = replay::HostDrives::Format;
bool is_elf(const Bytes& data) {
  constexpr u8 magic[] = {0x7f, 'E', 'L', 'F'};
  return data.size() >= sizeof magic && std::equal(magic, magic + sizeof magic, data.begin());
}

replay::ConsoleOptions parse_console(const char* option, const std::string& text) {
  using Kind = replay::ConsoleOptions::Kind;
  if (text == "stdio") return {Kind::Stdio, ""};
  if (text == "none") return {Kind::None, ""};
  if (text == "pty") return {Kind::Pty, ""};
  for (auto [prefix, kind] : {std::pair{"file:", Kind::File}, {"pipe:", Kind::Pipe}, {"unix:", Kind::Unix}})
    if (text.starts_with(prefix) && text.size() > 5) return {kind, text.substr(5)};
  if (text.starts_with("tcp:") && text.find(':', 4) != std::string::npos) return {Kind::Tcp, text.substr(4)};
  throw Fatal(
      fmt::format("{}: '{}' is not one of stdio, file:PATH, pipe:PATH, tcp:HOST:PORT, unix:PATH, pty, none",
                  option, printable(text)));
}

/// What --semihosting=... says beside on and off.
struct SemihostingText {
  bool enabled = true;
  std::vector<std::string> words;  // for the guest's command line
  std::optional<replay::ConsoleOptions> console;
  std::string target = "native";
};

SemihostingText parse_semihosting(const std::string& text) {
  SemihostingText out;
  bool needs_console = false;
  for (const std::string& part : split_commas(text)) {
    auto [key, value] = split_pair(part);
    if (key == "on" || key == "off") {
      out.enabled = key == "on";
    } else if (key == "enable") {
      out.enabled = parse_switch("--semihosting enable", value);
    } else if (key == "arg") {
      out.words.push_back(value);
    } else if (key == "chardev") {
      out.console = parse_console("--semihosting chardev", value);
    } else if (key == "userspace") {
      if (!parse_switch("--semihosting userspace", value))
        throw Fatal("--semihosting: userspace=off is not possible; calls from user mode are always served");
    } else if (key == "target" && value == "chardev") {
      needs_console = true;
    } else if (key == "target" && (value == "native" || value == "gdb" || value == "auto")) {
      out.target = value;
    } else {
      throw Fatal(
          fmt::format("--semihosting: '{}' is not known; use target=native/gdb/auto/chardev, "
                      "chardev=CONSOLE, enable=on/off, arg=WORD, userspace=on",
                      printable(part)));
    }
  }
  if (needs_console && !out.console)
    throw Fatal("--semihosting: target=chardev needs chardev=CONSOLE, for instance chardev=file:out.txt");
  return out;
}

/// "FILE[,format=raw/qcow2][,readonly=on][,write=on]".
std::pair<MachineDrive, Format> parse_drive(const std::string& text) {
  MachineDrive drive;
  Format format = Format::Detect;
  const std::vector<std::string> parts = split_commas(text);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto [key, value] = split_pair(parts[i]);
    if (i == 0 && parts[i].find('=') == std::string::npos)
      drive.name = parts[i];
    else if (key == "file")
      drive.name = value;
    else if (key == "readonly")
      drive.read_only = parse_switch("--drive readonly", value);
    else if (key == "write")
      drive.write_through = parse_switch("--drive write", value);
    else if (key == "format" && value == "raw")
      format = Format::Raw;
    else if (key == "format" && value == "qcow2")
      format = Format::Qcow2;
    else
      throw Fatal(
          fmt::format("--drive: '{}' is not known; use FILE[,format=raw/qcow2][,readonly=on][,write=on]",
                      printable(parts[i])));
  }
  if (drive.name.empty()) throw Fatal(fmt::format("--drive: '{}' names no file", printable(text)));
  if (drive.read_only && drive.write_through)
    throw Fatal("--drive: readonly=on and write=on contradict each other");
  return {drive, format};
}

/// "name=NAME,file=FILE" or "name=NAME,string=TEXT".
MachineFile parse_fw_cfg(const std::string& text) {
  MachineFile item{"fw-cfg", "", kNever, {}};
  bool content = false;
  for (const std::string& part : split_commas(text)) {
    auto [key, value] = split_pair(part);
    content = content || key == "file" || key == "string";
    if (key == "name")
      item.name = value;
    else if (key == "file")
      item.data = read_file("--fw-cfg", value);
    else if (key == "string")
      item.data.assign(value.begin(), value.end());
    else
      throw Fatal(fmt::format("--fw-cfg: '{}' is not known; use name=NAME and file=FILE or string=TEXT",
                              printable(part)));
  }
  if (item.name.empty() || !content)
    throw Fatal(fmt::format("--fw-cfg: '{}' has no name, or no file or string", printable(text)));
  return item;
}

}  // namespace

void add_options_of_later_versions(CLI::App& command, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::string shown = name.substr(name.rfind(',') + 1);
    command
        .add_option_function<std::vector<std::string>>(
            name,
            [shown](const std::vector<std::string>&) {
              throw Fatal(shown + " is not in this version; leave it out");
            },
            "not in this version")
        ->expected(1, -1)
        ->group("");
  }
}

void EngineText::add_to(CLI::App& command) {
  command.add_option("--engine", engine, "how the guest's code runs: jit or interp")->capture_default_str();
  command.add_option("--cpu-host", cpu_host, "NAME[,feature=off]: host instructions the JIT may not use")
      ->group("For tests");
  command.add_option("--code-cache", code_cache, "size of the translated code's memory")->group("For tests");
  command
      .add_option("--chaos-seed", chaos_seed, "drop caches and change tiers at moments drawn from this seed")
      ->group("For tests");
}

EngineOptions EngineText::options() const {
  EngineOptions options;
  if (engine != "jit" && engine != "interp")
    throw Fatal(fmt::format("--engine: '{}' is neither jit nor interp", printable(engine)));
  options.jit = engine == "jit";
  if (!code_cache.empty()) {
    options.code_cache_bytes = parse_size("--code-cache", code_cache, kMiB);
    if (options.code_cache_bytes > EngineOptions::kMostCodeCache)
      throw Fatal(
          fmt::format("--code-cache: '{}' is more than 1024M, the largest there is", printable(code_cache)));
  }
  if (!chaos_seed.empty()) options.chaos_seed = parse_number("--chaos-seed", chaos_seed);
  auto parts = cpu_host.empty() ? std::vector<std::string>{} : split_commas(cpu_host);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto [feature, value] = split_pair(parts[i]);
    bool names_host = i == 0 && parts[i].find('=') == std::string::npos;
    if (names_host && feature != "host")
      throw Fatal(fmt::format("--cpu-host: '{}' is not known; use host[,feature=off]", printable(feature)));
    if (!names_host && !parse_switch("--cpu-host " + feature, value))
      options.host_features_off.push_back(feature);
  }
  return options;
}

void MachineText::add_to(CLI::App& command) {
  command.add_option("IMAGE", image, "what to run: an ELF file, or what the board takes as its kernel");
  command.add_option("-M,--machine", machine,
                     "NAME[,k=v]: the board (default: from the ELF header); RISC-V: rng=on, rng-seed=on, "
                     "virtio=mmio/pci, aia=none/aplic/aplic-imsic; Arm: itm=log/serial");
  command.add_option("--board", board, "device tree (.dts or .dtb) of a board, instead of a named one");
  command.add_option("--svd", svd, "CMSIS-SVD file: what the registers of devices are called");
  command.add_option("--cpu", cpu, "NAME[,feature=on/off]: the CPU model");
  command.add_option("-m,--memory", memory, "RAM, like 128M or 2G");
  command.add_option("--smp", smp, "number of vCPUs");
  command.add_option("--bios", bios, "firmware; none (the default): the kernel starts where firmware would");
  command.add_option("--kernel", kernel, "the kernel; the same as IMAGE");
  command.add_option("--initrd", initrd, "initial RAM disk");
  command.add_option("--append", append, "kernel command line");
  command.add_option("--dtb", dtb, "device tree handed to the guest instead of the board's");
  command.add_option("--load", loads, "FILE@ADDR: bytes into memory, any number of times")
      ->take_all()
      ->allow_extra_args(false);
  command
      .add_option("--fw-cfg", fw_cfg,
                  "name=NAME,file=FILE or name=NAME,string=TEXT: a file in the firmware configuration device")
      ->take_all()
      ->allow_extra_args(false);
  command
      .add_option(
          "--drive", drives,
          "FILE[,format=raw/qcow2][,readonly=on][,write=on]: a disk, any number of times; the file is never "
          "changed, unless by 'run' with write=on")
      ->take_all()
      ->allow_extra_args(false);
  command
      .add_option("--serial", serial,
                  "first serial port: stdio, file:PATH, pipe:PATH, tcp:HOST:PORT, unix:PATH, pty or none "
                  "(semihosting "
                  "shares it, and has stdio beside file and none)")
      ->capture_default_str();
  command.add_option("--virtio-console", virtio_console,
                     "a virtio console (Linux: hvc0) beside the serial port, and where it leads, as for "
                     "--serial; both may be stdio");
  command
      .add_option(
          "--semihosting,--semihosting-config", semihosting,
          "on, off, or target=native/gdb/auto,arg=WORD,chardev=CONSOLE (as for --serial); on by default for "
          "bare-metal ELF")
      ->type_name("[=TEXT]");
  command
      .add_option("--net", nets,
                  "none, or user[,hostfwd=tcp::2222-:22][,tftp=DIR]...: what the network adapter's cable "
                  "leads to (docs/networks.md)")
      ->take_all()
      ->allow_extra_args(false);
  command.add_option("--pcap", pcap, "file for every network frame, with virtual time");
  command.add_option("--semihost-root", semihost_root,
                     "folder whose files the guest may use through semihosting");
  command.add_option("--icount-shift", icount_shift, "virtual nanoseconds per instruction = 2^N (default 3)");
  command.add_option("--max-icount", max_icount, "stop after N instructions (exit 124)");
  command.add_option("--pace", pace, "real: virtual time waits for the wall clock; max: as fast as possible");
  engine.add_to(command);
  add_options_of_later_versions(command, {"-L,--sysroot"});
}

void MachineText::open_drives() const {
  if (host_drives_ != nullptr) return;
  host_drives_ = std::make_shared<replay::HostDrives>();
  for (const std::string& text : drives) {
    auto [drive, format] = parse_drive(text);
    drive.bytes = host_drives_->add(drive.name, format, drive.write_through);
    opened_drives_.push_back(std::move(drive));
  }
}

MachineConfig MachineText::config() const {
  MachineConfig config;
  if (!machine.empty()) {
    auto parts = split_commas(machine);
    config.machine = parts[0];
    for (std::size_t i = 1; i < parts.size(); ++i) config.machine_options.insert(split_pair(parts[i]));
  }
  if (!board.empty()) {
    if (!config.machine.empty() && config.machine != kUsersBoard)
      throw Fatal(fmt::format("--board describes the machine; leave -M {} out", printable(config.machine)));
    config.machine = kUsersBoard;
  }
  if (!virtio_console.empty()) config.machine_options.insert_or_assign("console", "on");
  config.cpu = cpu;
  if (!memory.empty()) config.memory_bytes = parse_size("--memory", memory, kMiB);
  if (!smp.empty()) {  // how many a board has is the board's to say
    constexpr u64 kMost = std::numeric_limits<unsigned>::max();
    config.smp = static_cast<unsigned>(std::min(parse_number("--smp", smp), kMost));
  }
  if (!icount_shift.empty())
    config.icount_shift =
        static_cast<unsigned>(parse_number("--icount-shift", icount_shift, 0, kMaxIcountShift));
  config.append = append;
  open_drives();
  config.drives = opened_drives_;
  for (const NetworkText& net : parse_networks(nets)) config.networks.push_back(net.adapter);

  auto add_file = [&config](const char* role, const std::string& option, const std::string& path,
                            u64 address = kNever) {
    config.files.push_back({role, path, address, read_file(option, path)});
  };
  if (!image.empty() && !kernel.empty())
    throw Fatal("IMAGE and --kernel name the same thing; give one of them");
  const bool has_bios = !bios.empty() && bios != "none";
  if (!image.empty()) add_file("kernel", "image", image);
  if (!kernel.empty()) add_file("kernel", "--kernel", kernel);
  bool bare_metal_elf =
      !config.files.empty() && is_elf(config.files.front().data) && !has_bios && config.machine != "linux";
  if (has_bios) add_file("bios", "--bios", bios);
  if (!initrd.empty()) add_file("initrd", "--initrd", initrd);
  if (!dtb.empty()) add_file("dtb", "--dtb", dtb);
  if (!board.empty()) add_file("board", "--board", board);
  if (!svd.empty()) add_file("svd", "--svd", svd);
  for (const std::string& load : loads) {
    auto [path, address] = split_address("--load", load);
    add_file("load", "--load", path, address);
  }
  for (const std::string& text : fw_cfg) config.files.push_back(parse_fw_cfg(text));
  bool anything = std::any_of(config.files.begin(), config.files.end(), [](const MachineFile& file) {
    return file.role == "kernel" || file.role == "bios" || file.role == "load";
  });
  if (!anything) throw Fatal("nothing to run: name an IMAGE, or use --bios or --load");

  config.guest_args.push_back(image.empty() ? kernel : image);
  config.semihosting = bare_metal_elf;
  if (!semihosting.empty()) {
    SemihostingText text = parse_semihosting(semihosting);
    config.semihosting = text.enabled;
    if (!text.words.empty()) config.guest_args = std::move(text.words);  // the program's name among them
  }
  config.guest_args.insert(config.guest_args.end(), guest_args.begin(), guest_args.end());
  // Otherwise a bare-metal program would never see it.
  if (config.guest_args.size() == 1 && !append.empty()) config.guest_args.push_back(append);
  return config;
}

std::string MachineText::semihosting_target() const {
  return semihosting.empty() ? "native" : parse_semihosting(semihosting).target;
}

replay::HostOptions MachineText::host() const {
  replay::HostOptions host;
  host.engine = engine.options();
  host.serial = parse_console("--serial", serial);
  if (!virtio_console.empty()) host.virtio_console = parse_console("--virtio-console", virtio_console);
  if (!semihosting.empty()) host.semihosting_console = parse_semihosting(semihosting).console;
  for (const NetworkText& net : parse_networks(nets)) host.networks.push_back(net.options);
  host.pcap = pcap;
  host.semihost_root = semihost_root;
  auto files = std::make_shared<semihost::HostFiles>(semihost_root);
  host.services[InputKind::Semihost] = replay::make_service(
      [files](ByteView request) { return files->serve(request); }, &semihost::HostFiles::has_effects);
  open_drives();
  host.services[InputKind::Disk] = host_drives_;
  if (!max_icount.empty()) host.max_icount = parse_number("--max-icount", max_icount);
  if (!pace.empty() && pace != "real" && pace != "max")
    throw Fatal(fmt::format("--pace: '{}' is neither real nor max", printable(pace)));
  bool real = pace.empty() ? ::isatty(STDIN_FILENO) == 1 : pace == "real";
  host.pace = real ? replay::Pace::Real : replay::Pace::Max;
  return host;
}

}  // namespace hindcast::cli
