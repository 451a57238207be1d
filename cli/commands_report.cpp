// info, events, verify, list: what reports, on stdout.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/values.h"
#include "engine/registry.h"
#include "plugins/spec.h"
#include "replay/event_format.h"
#include "replay/session.h"

namespace hindcast::cli {
namespace {

using Json = nlohmann::ordered_json;

/// Names come from recordings, which may hold any bytes.
std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string hex(ByteView bytes) {
  std::string text;
  for (u8 byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

const char* stop_name(replay::StopKind stop) {
  switch (stop) {
    case replay::StopKind::GuestExit: return "guest-exit";
    case replay::StopKind::MaxIcount: return "max-icount";
    case replay::StopKind::WaitsForever: return "waits-forever";
    case replay::StopKind::Interrupted: return "interrupted";
    case replay::StopKind::CutShort: return "cut-short";
    case replay::StopKind::OutputFailed: return "output-failed";
  }
  return "unknown";
}

Json info_json(const replay::RecordingInfo& info) {
  Json files = Json::array();
  for (std::size_t i = 0; i < info.config.files.size(); ++i) {
    const MachineFile& file = info.config.files[i];
    Json entry = {{"role", file.role}, {"name", file.name}};
    if (i < info.file_sizes.size()) entry["size"] = info.file_sizes[i];
    if (file.address != kNever) entry["address"] = file.address;
    files.push_back(entry);
  }
  Json drives = Json::array();
  for (const MachineDrive& drive : info.config.drives)
    drives.push_back({{"name", drive.name}, {"size", drive.bytes}, {"readonly", drive.read_only}});
  Json networks = Json::array();
  for (const NetworkAdapter& adapter : info.config.networks)
    networks.push_back(fmt::format("{:02x}", fmt::join(adapter.mac, ":")));
  return {{"schema_version", info.schema_version},
          {"model_version", info.model_version},
          {"build_id", info.build_id},
          {"machine", info.machine},
          {"cpu", info.cpu},
          {"memory_bytes", info.config.memory_bytes},
          {"smp", info.config.smp},
          {"icount_shift", info.config.icount_shift},
          {"semihosting", info.config.semihosting},
          {"append", info.config.append},
          {"guest_args", info.config.guest_args},
          {"files", files},
          {"drives", drives},
          {"networks", networks},
          {"clean_close", info.clean_close},
          {"growing", info.growing},
          {"begin", info.begin},
          {"icount", info.icount},
          {"stop", stop_name(info.stop)},
          {"exit_code", info.exit_code},
          {"events", info.events},
          {"event_bytes", info.event_bytes},
          {"checkpoints", info.checkpoints},
          {"pages", info.pages},
          {"page_bytes", info.page_bytes},
          {"disk_bytes", info.disk_bytes},
          {"state_hash", info.state_root},
          {"output_hash", info.output_hash}};
}

void print_info(const replay::RecordingInfo& info) {
  auto row = [](const char* key, const std::string& value) {
    print_out("{:<13} {}\n", key, printable(value));
  };
  if (info.machine.empty())
    row("machine", "not known to this build: the recording has another version");
  else
    row("machine",
        fmt::format(
            "{}, cpu {}, {} vCPU{}, {}icount shift {}", info.machine, info.cpu, info.config.smp,
            info.config.smp == 1 ? "" : "s",
            // 0: the board says what memory it has
            info.config.memory_bytes == 0 ? "" : fmt::format("{} MiB, ", info.config.memory_bytes >> 20),
            info.config.icount_shift));
  for (std::size_t i = 0; i < info.config.files.size(); ++i) {
    const MachineFile& file = info.config.files[i];
    std::string text = file.role + " " + file.name;
    if (file.address != kNever) text += fmt::format(" at {:#x}", file.address);
    if (i < info.file_sizes.size()) text += fmt::format(", {} bytes", info.file_sizes[i]);
    row("file", text);
  }
  for (const MachineDrive& drive : info.config.drives)
    row("drive",
        fmt::format("{}, {} bytes{}", drive.name, drive.bytes, drive.read_only ? ", read-only" : ""));
  for (const NetworkAdapter& adapter : info.config.networks)
    row("network", fmt::format("{:02x}", fmt::join(adapter.mac, ":")));
  row("icount", info.begin == 0 ? fmt::format("{}", info.icount)
                                : fmt::format("{} (begins at {})", info.icount, info.begin));
  row("ended", info.growing        ? "not yet: it is still being written"
               : !info.clean_close ? "cut short: its recorder did not close it"
               : info.stop == replay::StopKind::GuestExit
                   ? fmt::format("{}, exit code {}", stop_name(info.stop), info.exit_code)
                   : stop_name(info.stop));
  row("events", fmt::format("{} in {} bytes", info.events, info.event_bytes));
  row("checkpoints", fmt::format("{}, {} pages in {} bytes", info.checkpoints, info.pages, info.page_bytes));
  row("size on disk", fmt::format("{} bytes", info.disk_bytes));
  if (!info.state_root.empty()) row("state hash", info.state_root);
  if (!info.output_hash.empty()) row("output hash", info.output_hash);
  row("format", fmt::format("schema {}, model {}, written by {}", info.schema_version, info.model_version,
                            info.build_id));
}

void check_kind(const std::string& kind) {
  const std::vector<std::string> known = replay::kind_names();
  // A newer build's have no name here.
  if (kind.empty() || kind.starts_with("kind ") || std::count(known.begin(), known.end(), kind) != 0) return;
  throw Fatal(fmt::format("--kind: '{}' is not one of {}", printable(kind), fmt::join(known, ", ")));
}

}  // namespace

Command add_info(CLI::App& app) {
  struct State {
    std::string path;
    bool json = false;
  };
  auto state = std::make_shared<State>();
  CLI::App* command =
      app.add_subcommand("info", "what a recording is: machine, icount, events, checkpoints, size");
  command->add_option("REC", state->path, "folder of the recording")->required();
  command->add_flag("--json", state->json, "one JSON document");
  auto run = [state](const std::vector<std::string>&) {
    replay::RecordingInfo info = replay::info(state->path);
    if (state->json)
      print_out("{}\n", dump(info_json(info), 2));
    else
      print_info(info);
    finish_out();
    return 0;
  };
  return {command, false, run};
}

Command add_events(CLI::App& app) {
  struct State {
    std::string path, kind, from, to;
    bool json = false;
  };
  auto state = std::make_shared<State>();
  CLI::App* command = app.add_subcommand("events", "the event log of a recording, one line each");
  command->add_option("REC", state->path, "folder of the recording")->required();
  command->add_flag("--json", state->json, "one JSON object a line");
  command->add_option("--kind", state->kind, "only events of this kind, as the list names it");
  command->add_option("--from", state->from, "first icount");
  command->add_option("--to", state->to, "last icount");
  auto run = [state](const std::vector<std::string>&) {
    Icount from = state->from.empty() ? 0 : parse_number("--from", state->from);
    Icount to = state->to.empty() ? kNever : parse_number("--to", state->to);
    check_kind(state->kind);
    replay::events(state->path, from, to, [&](const replay::EventLine& event) {
      if (!state->kind.empty() && event.kind != state->kind) return true;
      if (state->json) {
        Json line = {{"icount", event.position.icount}, {"seq", event.position.seq}, {"kind", event.kind},
                     {"channel", event.channel},        {"size", event.size},        {"text", event.text},
                     {"data", hex(event.payload)}};
        return print_out("{}\n", dump(line, -1));
      }
      return print_out("{:>14}.{:<3} {:<16} {:>5} {:>6}  {}\n", event.position.icount, event.position.seq,
                       event.kind, event.channel, event.size, printable(event.text));
    });
    finish_out();
    return 0;
  };
  return {command, false, run};
}

Command add_verify(CLI::App& app) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("verify", "read everything in a recording and check it");
  command->add_option("REC", *path, "folder of the recording")->required();
  auto run = [path](const std::vector<std::string>&) {
    std::string first;
    bool sound = replay::verify(*path, [&first](const std::string& problem) {
      if (first.empty()) first = problem;
      print_out("{}\n", printable(problem));
    });
    if (sound) print_out("{}: sound\n", printable(*path));
    finish_out();
    if (!sound) complain(fmt::format("{} is damaged: {}", printable(*path), printable(first)));
    return sound ? 0 : kStatusDamaged;
  };
  return {command, false, run};
}

Command add_list(CLI::App& app) {
  auto what = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("list", "machines, cpus, devices, plugins or targets that this build has");
  command->add_option("WHAT", *what, "machines, cpus, devices, plugins or targets")->required();
  auto run = [what](const std::vector<std::string>&) {
    const Registry& registry = Registry::instance();
    auto row = [](const std::string& name, const std::string& text) { print_out("{:<24} {}\n", name, text); };
    if (*what == "machines") {
      for (const MachineKind& kind : registry.machines()) row(kind.name, kind.description);
    } else if (*what == "cpus") {
      for (const Registry::Cpu& cpu : registry.cpus()) row(cpu.name, cpu.description);
    } else if (*what == "devices") {
      for (const Registry::DeviceModel& device : registry.devices()) row(device.name, device.description);
    } else if (*what == "targets") {
      std::set<std::string> targets;
      for (const MachineKind& kind : registry.machines()) targets.insert(kind.target);
      for (const Registry::Cpu& cpu : registry.cpus()) targets.insert(cpu.target);
      for (const std::string& target : targets) print_out("{}\n", target);
    } else if (*what == "plugins") {
      for (const plugins::BundledPlugin& plugin : plugins::bundled_plugins())
        row(plugin.name, plugin.description);
    } else {
      throw Fatal(fmt::format("list: '{}' is not one of machines, cpus, devices, plugins, targets",
                              printable(*what)));
    }
    finish_out();
    return 0;
  };
  return {command, false, run};
}

}  // namespace hindcast::cli
