// oracle_arm: random Arm instruction streams at full size, on two sides of the user's choice; prints the row
// coverage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "tests/oracle_arm/compare.h"
#include "tests/oracle_arm/generator.h"
#include "tests/oracle_arm/targets.h"

namespace {

using namespace hindcast;
using namespace hindcast::oracle_arm;

struct Options {
  std::string cpu = "cortex-m3", side = "jit", against = "qemu";
  u64 per_row = 1000, seed = 1;
  unsigned blocks = 400, loops = 1, most_reports = 20;
  bool coverage = false;
};

EngineOptions engine_of(const std::string& name, u64 seed) {
  EngineOptions o;
  o.jit = name != "interp";
  if (name == "chaos") o.chaos_seed = seed;
  return o;
}

int run(const Options& o) {
  const Target& target = target_named(o.cpu);
  const arm::ArmArch arch(arm::parse_cpu(target.cpu, ""));
  std::optional<Qemu> qemu;
  if (o.against == "qemu") {
    qemu = Qemu::find();
    if (!qemu) {
      fmt::print(stderr, "oracle_arm: no qemu-system-arm (package qemu-system-arm)\n");
      return 125;
    }
    fmt::print("{}\n", qemu->version());
  }
  Generator generator(arch, target, o.seed);
  const Side here = [&](const Program& p) { return run_here(target, p, engine_of(o.side, o.seed)); };
  const Side there = [&](const Program& p) {
    return qemu ? qemu->run(target, p) : run_here(target, p, engine_of(o.against, o.seed));
  };
  const auto least = [&] {
    u64 n = ~u64{0};
    for (auto [row, count] : generator.drawn()) n = std::min(n, count);
    return n;
  };
  unsigned reports = 0;
  u64 programs = 0;
  while (least() < o.per_row && reports < o.most_reports) {
    const Program program = generator.program(o.blocks, o.loops);
    ++programs;
    const std::string report = compare(arch, program, here, there, o.side, o.against);
    if (report.empty()) continue;
    ++reports;
    fmt::print("difference {} (program {}):\n{}\n", reports, programs, report);
    std::fflush(stdout);
  }
  u64 total = 0;
  const auto all = arm::all_rows();
  for (auto [row, count] : generator.drawn()) {
    total += count;
    if (o.coverage) fmt::print("{:<12} {} {}\n", all[row]->name, count, all[row]->pattern);
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    if (generator.drawn().count(static_cast<u16>(i)) == 0 && arch.has(all[i]->needs))
      fmt::print("not compared: {}\n", all[i]->name);
  fmt::print(
      "{} {} against {}: {} programs, {} rows, {} instructions, each row at least {} times, {} "
      "difference(s)\n",
      o.cpu, o.side, o.against, programs, generator.drawn().size(), total, least(), reports);
  return reports == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Compares random Arm instruction streams on two executors"};
  app.add_option("--cpu", o.cpu, "a CPU model");
  app.add_option("--per-row", o.per_row, "how often each instruction row is drawn at least");
  app.add_option("--seed", o.seed);
  app.add_option("--side", o.side)->check(CLI::IsMember({"jit", "interp", "chaos"}));
  app.add_option("--against", o.against)->check(CLI::IsMember({"qemu", "jit", "interp", "chaos"}));
  app.add_option("--blocks", o.blocks, "blocks in a program")->check(CLI::Range(1, 512));
  app.add_option("--loops", o.loops, "how often a block runs")->check(CLI::Range(1, 2000));
  app.add_option("--reports", o.most_reports, "stop after this many differences");
  app.add_flag("--coverage", o.coverage, "print how often each row was drawn");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "oracle_arm: {}\n", e.what());
    return 125;
  }
}
