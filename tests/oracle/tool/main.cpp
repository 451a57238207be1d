// oracle: random instruction streams at full size, on two sides of the user's choice; prints the row
// coverage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "targets/riscv/riscv.h"
#include "tests/oracle/compare.h"
#include "tests/oracle/generator.h"
#include "tests/oracle/runner.h"

namespace {

using namespace hindcast;
using namespace hindcast::oracle;

struct Options {
  unsigned xlen = 64;
  u64 per_row = 1000, seed = 1;
  std::string side = "jit", against = "qemu";
  unsigned blocks = 400, loops = 1, most_reports = 20;
  unsigned illegal = 4;
  std::vector<std::string> off;
  bool coverage = false;
};

EngineOptions engine_of(const std::string& name, u64 seed) {
  EngineOptions o;
  o.jit = name != "interp";
  if (name == "chaos") o.chaos_seed = seed;
  return o;
}

int run(const Options& o) {
  std::string cpu = fmt::format("rv{},{}", o.xlen, kBesides);
  for (const std::string& name : o.off) cpu += "," + name + "=off";
  const auto arch = riscv::make_riscv_arch(cpu);
  std::optional<Qemu> qemu;
  CompareOptions compare_options;
  if (o.against == "qemu") {
    qemu = Qemu::find(o.xlen, o.off);
    if (!qemu) {
      fmt::print(stderr, "oracle: no qemu-system-riscv{} (package qemu-system-misc)\n", o.xlen);
      return 125;
    }
    compare_options.tolerate_qemu = true;
    fmt::print("{}\n", qemu->version());
  }
  Generator generator(
      *arch, o.seed,
      {.without = qemu ? qemu->missing() : 0, .spare_qemu = qemu.has_value(), .illegal_percent = o.illegal});
  const Side here = [&](const Program& p) { return run_here(p, engine_of(o.side, o.seed), cpu); };
  const Side there = [&](const Program& p) {
    return qemu ? qemu->run(p) : run_here(p, engine_of(o.against, o.seed), cpu);
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
    const std::string report = compare(*arch, program, here, there, o.side, o.against, compare_options);
    if (report.empty()) continue;
    ++reports;
    fmt::print("difference {} (program {}):\n{}\n", reports, programs, report);
    std::fflush(stdout);
  }
  u64 total = 0;
  for (auto [row, count] : generator.drawn()) {
    total += count;
    if (o.coverage) fmt::print("{:<12} {}\n", riscv::all_rows()[row]->name, count);
  }
  const auto all = riscv::all_rows();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (generator.drawn().count(static_cast<u16>(i)) == 0 && arch->features().in(all[i]->xlen))
      fmt::print("not compared: {}\n", all[i]->name);
  }
  fmt::print(
      "rv{} {} against {}: {} programs, {} rows, {} instructions, each row at least {} times, {} "
      "difference(s)\n",
      o.xlen, o.side, o.against, programs, generator.drawn().size(), total, least(), reports);
  return reports == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Compares random instruction streams on two executors"};
  app.add_option("--xlen", o.xlen, "32 or 64")->check(CLI::IsMember({32, 64}));
  app.add_option("--per-row", o.per_row, "how often each instruction row is drawn at least");
  app.add_option("--seed", o.seed);
  app.add_option("--side", o.side)->check(CLI::IsMember({"jit", "interp", "chaos"}));
  app.add_option("--against", o.against)->check(CLI::IsMember({"qemu", "jit", "interp", "chaos"}));
  app.add_option("--blocks", o.blocks, "blocks in a program")->check(CLI::Range(1, 512));
  app.add_option("--loops", o.loops, "how often a block runs")->check(CLI::Range(1, 2000));
  app.add_option("--illegal", o.illegal, "percent of bit patterns that are no instruction")
      ->check(CLI::Range(0, 95));
  app.add_option("--off", o.off, "extensions that the CPU does not have (a, c, m, zba, ...)");
  app.add_option("--reports", o.most_reports, "stop after this many differences");
  app.add_flag("--coverage", o.coverage, "print how often each row was drawn");
  CLI11_PARSE(app, argc, argv);
  try {
    return run(o);
  } catch (const std::exception& e) {
    fmt::print(stderr, "oracle: {}\n", e.what());
    return 125;
  }
}
