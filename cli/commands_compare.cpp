// compare: where two runs part, on stdout; index. And `state`, which another build's compare talks to.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/values.h"
#include "replay/compare.h"
#include "replay/index.h"
#include "replay/meta.h"
#include "replay/state_server.h"
#include "targets/loader/image.h"

namespace hindcast::cli {
namespace {

using Json = nlohmann::ordered_json;
using replay::CompareReport;

/// "main+0x12" from the recorded image's symbols; empty if they do not tell.
std::string symbol_of(const std::string& path, GuestAddr pc) {
  const auto reader = storage::Reader::open(path);
  replay::Meta meta = replay::decode_meta(reader->meta(), path);
  if (!replay::load_files(*reader, meta, path)) return {};
  for (const MachineFile& file : meta.config.files) {
    if (loader::detect_format(file.data) != loader::Format::Elf) continue;
    try {
      const loader::Image image = loader::parse_image(file.name, file.data, 0);
      if (const loader::Symbol* symbol = image.symbol_at(pc))
        return pc == symbol->address ? symbol->name
                                     : fmt::format("{}+{:#x}", symbol->name, pc - symbol->address);
    } catch (const Fatal&) {
      continue;  // the board may have taken it for raw bytes
    }
  }
  return {};
}

const char* verdict_name(CompareReport::Verdict verdict) {
  switch (verdict) {
    case CompareReport::Verdict::Same: return "same";
    case CompareReport::Verdict::Differ: return "differ";
    case CompareReport::Verdict::Lengths: return "lengths";
  }
  return "unknown";
}

Json input_json(const std::optional<replay::EventLine>& input) {
  if (!input) return nullptr;
  return {{"icount", input->position.icount}, {"seq", input->position.seq}, {"kind", input->kind},
          {"channel", input->channel},        {"size", input->size},        {"text", input->text}};
}

Json differences_json(const std::vector<CompareReport::Difference>& list) {
  Json out = Json::array();
  for (const auto& entry : list) out.push_back({{"name", entry.name}, {"a", entry.a}, {"b", entry.b}});
  return out;
}

Json report_json(const CompareReport& report, const std::string& symbol) {
  Json words = Json::array();
  for (const CompareReport::Word& word : report.words)
    words.push_back({{"block", word.block},
                     {"address", fmt::format("{:#x}", word.address)},
                     {"a", fmt::format("{:#018x}", word.a)},
                     {"b", fmt::format("{:#018x}", word.b)}});
  Json out = {{"verdict", verdict_name(report.verdict)},
              {"end_a", report.end_a},
              {"end_b", report.end_b},
              {"icount", report.icount},
              {"executed_a", report.executed_a},
              {"executed_b", report.executed_b}};
  if (report.verdict != CompareReport::Verdict::Differ) return out;
  out.update({{"from_start", report.from_start},
              {"vcpu", report.vcpu},
              {"pc", fmt::format("{:#x}", report.pc)},
              {"symbol", symbol},
              {"insn", report.insn},
              {"interrupt_pending", report.interrupt},
              {"by_input", report.by_input},
              {"registers", differences_json(report.registers)},
              {"fields", differences_json(report.fields)},
              {"memory", words},
              {"differing_pages", report.differing_pages},
              {"left_path", report.left_path},
              {"input_a", input_json(report.input_a)},
              {"input_b", input_json(report.input_b)}});
  return out;
}

void print_input(const char* side, const std::optional<replay::EventLine>& input) {
  if (!input) {
    print_out("last input {}: none\n", side);
    return;
  }
  print_out("last input {}: {} on channel {} at icount {}: {}\n", side, input->kind, input->channel,
            input->position.icount, printable(input->text));
}

void print_report(const CompareReport& report, const std::string& symbol) {
  if (report.verdict == CompareReport::Verdict::Same) {
    print_out("the same to the end, icount {}\n", report.icount);
    return;
  }
  if (report.verdict == CompareReport::Verdict::Lengths) {
    print_out("the same up to icount {}, where one ends: A has {} instructions, B {}\n", report.icount,
              report.end_a, report.end_b);
    return;
  }
  if (report.from_start) {
    print_out("the states differ before the first instruction\n");
  } else if (report.by_input) {
    print_out("the first difference is made by the input at icount {}, after vCPU {}'s instruction\n",
              report.icount + 1, report.vcpu);
  } else {
    print_out("the first difference is made at icount {} by vCPU {}\n", report.icount, report.vcpu);
  }
  if (!report.from_start) {
    print_out("pc {:#x}{}: {}\n", report.pc, symbol.empty() ? "" : fmt::format(" <{}>", printable(symbol)),
              report.insn.empty() ? "(not readable)" : printable(report.insn));
    if (report.interrupt) print_out("an interrupt was pending before it\n");
  }
  if (!report.left_path.empty())
    print_out("one side cannot be followed further: {}\n", printable(report.left_path));
  const auto print = [](const char* what, const std::vector<CompareReport::Difference>& list) {
    if (!list.empty()) print_out("{}:\n", what);
    for (const auto& entry : list)
      print_out("  {:<24} A {:<20} B {}\n", printable(entry.name), entry.a.substr(0, 80),
                entry.b.substr(0, 80));
  };
  print("registers", report.registers);
  print("other state (bytes)", report.fields);
  if (!report.words.empty()) print_out("memory, in {} differing pages:\n", report.differing_pages);
  for (const CompareReport::Word& word : report.words)
    print_out("  {:<24} A {:#018x}   B {:#018x}\n",
              fmt::format("{} {:#x}", printable(word.block), word.address), word.a, word.b);
  print_input("of A", report.input_a);
  print_input("of B", report.input_b);
}

}  // namespace

Command add_compare(CLI::App& app) {
  struct State {
    std::string a, b, other;
    bool json = false;
  };
  auto state = std::make_shared<State>();
  CLI::App* command = app.add_subcommand("compare", "the first instruction after which two runs differ");
  command->add_option("REC_A", state->a, "folder of a recording")->required();
  auto* second = command->add_option("REC_B", state->b, "folder of another recording");
  command->add_option("--with", state->other, "another build's hindcast, for the same recording")
      ->excludes(second);
  command->add_flag("--json", state->json, "one JSON document");
  return {command, false, [state](const std::vector<std::string>&) {
            if (state->b.empty() && state->other.empty())
              throw Fatal("compare: a second recording or --with is needed");
            replay::CompareOptions options;
            options.other_program = state->other;
            const CompareReport report =
                replay::compare(state->a, state->other.empty() ? state->b : state->a, options);
            const bool differ = report.verdict == CompareReport::Verdict::Differ;
            const std::string symbol = differ && !report.from_start ? symbol_of(state->a, report.pc) : "";
            if (state->json)
              print_out("{}\n",
                        report_json(report, symbol).dump(2, ' ', false, Json::error_handler_t::replace));
            else
              print_report(report, symbol);
            finish_out();
            return report.verdict == CompareReport::Verdict::Same ? 0 : kStatusDamaged;
          }};
}

Command add_index(CLI::App& app) {
  struct State {
    std::string path, every;
  };
  auto state = std::make_shared<State>();
  CLI::App* command = app.add_subcommand("index", "add checkpoints, so that seeking is fast");
  command->add_option("REC", state->path, "folder of the recording")->required();
  command->add_option("--every", state->every, "instructions between checkpoints");
  return {command, false, [state](const std::vector<std::string>&) {
            replay::IndexOptions options;
            if (!state->every.empty()) options.every = parse_number("--every", state->every, 1000);
            const replay::IndexResult result = replay::index_recording(state->path, options);
            complain(fmt::format("{} checkpoints added, {} bytes", result.added, result.bytes));
            return 0;
          }};
}

Command add_state(CLI::App& app) {
  auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("state", "answers 'compare' of another build");
  command->group("");  // not for people
  command->add_option("REC", *path, "folder of the recording")->required();
  return {command, false, [path](const std::vector<std::string>&) {
            replay::StateServer(*path, {}).serve();
            return 0;
          }};
}

}  // namespace hindcast::cli
