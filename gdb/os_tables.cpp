#include "gdb/os_tables.h"

#include <fmt/format.h>

#include <initializer_list>
#include <utility>

#include "gdb/description.h"
#include "replay/session.h"

namespace hindcast::gdb {
namespace {

/// So many inputs from the cursor on.
constexpr unsigned kMaxEvents = 1000;

class Table {
 public:
  explicit Table(std::string_view name)
      : out_(fmt::format("<?xml version=\"1.0\"?>\n<!DOCTYPE osdata SYSTEM \"osdata.dtd\">\n"
                         "<osdata type=\"{}\">\n",
                         name)) {}
  void row(std::initializer_list<std::pair<const char*, std::string>> columns) {
    out_ += "<item>";
    for (const auto& [name, value] : columns)
      out_ += fmt::format("<column name=\"{}\">{}</column>", name, xml_text(value));
    out_ += "</item>\n";
  }
  std::string end() { return std::move(out_) + "</osdata>\n"; }

 private:
  std::string out_;
};

std::string devices(Machine& machine) {
  Table table("devices");
  auto row = [&](GuestAddr base, u64 size, const std::string& kind, const std::string& name) {
    table.row({{"Begin", fmt::format("{:#x}", base)},
               {"End", fmt::format("{:#x}", base + size - 1)},
               {"Kind", kind},
               {"Name", name}});
  };
  for (const auto& block : machine.memory().ram_blocks())
    row(block->base, block->size, is_flash(*block) ? "flash" : block->rom ? "rom" : "ram", block->name);
  for (const auto& range : machine.memory().devices()) row(range.base, range.size, "device", range.name);
  return table.end();
}

std::string vcpus(Machine& machine) {
  Table table("vcpus");
  for (unsigned i = 0; i < machine.vcpu_count(); ++i)
    table.row({{"Number", fmt::format("{}", i)},
               {"State", vcpu_state(machine, i)},
               {"PC", fmt::format("{:#x}", machine.vcpu(i).pc())},
               {"Executed", fmt::format("{}", machine.vcpu(i).executed())}});
  return table.end();
}

std::string events_from(Icount from, replay::Timeline& timeline) {
  Table table("events");
  timeline.settle();
  unsigned left = kMaxEvents;
  replay::events(timeline.path(), from, kNever, [&](const replay::EventLine& event) {
    table.row({{"Icount", fmt::format("{}", event.position.icount)},
               {"Kind", event.kind},
               {"Channel", fmt::format("{}", event.channel)},
               {"Bytes", fmt::format("{}", event.size)},
               {"What", event.text}});
    return --left != 0;
  });
  return table.end();
}

}  // namespace

std::optional<std::string> os_table(std::string_view name, replay::Navigator& navigator,
                                    replay::Timeline* timeline) {
  if (name == "devices") return devices(navigator.machine());
  if (name == "vcpus") return vcpus(navigator.machine());
  if (name == "events" && timeline != nullptr) return events_from(navigator.position(), *timeline);
  if (!name.empty()) return std::nullopt;
  Table table("types");
  table.row({{"Type", "devices"}, {"Description", "Memory and devices of the board"}, {"Title", "Devices"}});
  table.row({{"Type", "vcpus"}, {"Description", "What each vCPU does"}, {"Title", "vCPUs"}});
  if (timeline != nullptr)
    table.row({{"Type", "events"}, {"Description", "The recorded events from here on"}, {"Title", "Events"}});
  return table.end();
}

}  // namespace hindcast::gdb
