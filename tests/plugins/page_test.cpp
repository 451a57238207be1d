// The command lines that QEMU's manual shows for its plugins, with another emulator's name and another guest:
// each is understood, and what it writes has the shape shown there.
#include <filesystem>
#include <regex>

#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

using cli_test::hindcast;

/// Guests; those with arguments have them behind "--".
constexpr const char *kKernels = "kernels", *kHello = "hello", *kBoard = "heapbug", *kSmp = "smp";

struct Line {
  const char* name;
  const char* plugin;  // the shared object's name and the options
  const char* guest;
  int status;
  std::vector<const char*> shape;  // regular expressions, of lines that must occur in this order
  Strings more = {};               // options of the emulator
};

const char* const kHits =
    R"(0x[0-9a-f]+, '.+', \d+ hits, \d+ match hits, Δ\+\d+ since last match, \d+ avg insns/match)";
const char* const kInsn = R"(0, 0x[0-9a-f]+, 0x[0-9a-f]+, ".+")";
const char* const kPage = R"(0x[0-9a-f]{16}, 0x[0-9a-f]{4}, \d+, 0x[0-9a-f]{4}, \d+)";
const char* const kMisses = R"(0x[0-9a-f]+( \(.+\))?, \d+, .+)";

const Line kLines[] = {
    {"empty", "empty", kHello, 0, {}},
    {"bb", "bb", kKernels, 0, {R"(bb's: \d+, insns: \d+)"}},
    {"bb_inline", "bb,inline=true", kKernels, 0, {R"(bb's: \d+, insns: \d+)"}},
    {"bb_idle", "bb,idle=true", kBoard, 1, {R"(bb's: \d+, insns: \d+)"}},
    {"insn", "insn", kKernels, 0, {R"(cpu 0 insns: \d+)", R"(total insns: \d+)"}},
    {"insn_inline", "insn,inline=true", kKernels, 0, {R"(cpu 0 insns: \d+)", R"(total insns: \d+)"}},
    {"insn_sizes",
     "insn,sizes=true",
     kKernels,
     0,
     {R"(len 2 bytes: \d+ insns)", R"(len 4 bytes: \d+ insns)"}},
    {"insn_match", "insn,match=jal", kKernels, 0, {kHits, kHits}},
    {"insn_cores",
     "insn",
     kSmp,
     0,
     {R"(cpu 0 insns: \d+)", R"(cpu 3 insns: \d+)", R"(total insns: \d+)"},
     {"-smp", "4"}},
    {"mem", "mem,inline=true", kKernels, 0, {R"(inline mem accesses: \d+)"}},
    {"mem_callback", "mem,callback=true", kKernels, 0, {R"(callback mem accesses: \d+)"}},
    {"mem_hwaddr", "mem,hwaddr=true", kBoard, 1, {R"(.*io accesses: \d+)"}},
    {"syscall", "syscall", kHello, 0, {R"(syscall no\.  calls  errors)"}},
    {"inline", "inline", kHello, 0, {R"(cpu 0: tb \(\d+, \d+, \d+\) \| insn \(.*\) \| mem \(.*\))"}},
    {"hotblocks",
     "hotblocks",
     kKernels,
     0,
     {R"(collected \d+ entries in the hash table)", R"(pc, tcount, icount, ecount)",
      R"(0x[0-9a-f]{16}, \d+, \d+, \d+)", R"(0x[0-9a-f]{16}, \d+, \d+, \d+)"}},
    {"hotpages", "hotpages", kKernels, 0, {R"(Addr, RCPUs, Reads, WCPUs, Writes)", kPage, kPage}},
    {"hotpages_options",
     "hotpages,sortby=address,io=on,pagesize=1024",
     kBoard,
     1,
     {R"(Addr, RCPUs, Reads, WCPUs, Writes)", kPage}},
    {"howvec",
     "howvec,inline=on,count=load",
     kKernels,
     0,
     {R"(Instruction Classes:)", R"(Class: Arithmetic\s+\(\d+ hits\))",
      R"(Class: Load\s+counted individually)", R"(Individual Instructions:)",
      R"(Instr: .+\s+\(\d+ hits\)\s+\(op=0x[0-9a-f]+/ *Load\))"}},
    {"howvec_smp",
     "howvec,count=system",
     kSmp,
     0,
     {R"(Instruction Classes:)", R"(Individual Instructions:)",
      R"(Instr: csr.+\s+\(\d+ hits\)\s+\(op=0x[0-9a-f]+/.*\))"},
     {"-smp", "4"}},
    {"hwprofile", "hwprofile", kBoard, 1, {R"(Device, Address(, RCPUs)?.*)", R"(.*uart.*0x[0-9a-f]+.*)"}},
    {"hwprofile_source",
     "hwprofile,track=write,source",
     kBoard,
     1,
     {R"(.*uart.* @ 0x[0-9a-f]+)", R"(\s+pc:[0-9a-f]{8,16}, \d+, \d+)"}},
    {"hwprofile_pattern",
     "hwprofile,pattern",
     kBoard,
     1,
     {R"(.*uart.* @ 0x[0-9a-f]+)", R"(\s+off:[0-9a-f]{8}, .*\d+)"}},
    {"execlog",
     "execlog",
     kHello,
     0,
     {kInsn, R"(0, 0x[0-9a-f]+, 0x[0-9a-f]+, ".+", (load|store), 0x[0-9a-f]{8}, RAM.*)"}},
    {"execlog_filters",
     "execlog,ifilter=sd,afilter=0x80000010",
     kHello,
     0,
     {R"(0, 0x80000010, .*)", R"(0, 0x[0-9a-f]+, 0x[0-9a-f]+, "sd .+", store, 0x[0-9a-f]{8}, RAM)"}},
    {"execlog_registers",
     "execlog,reg=s*,reg=sp",
     kHello,
     0,
     {R"(0, 0x[0-9a-f]+, 0x[0-9a-f]+, ".+".*, sp -> 0x[0-9a-f]{16})"}},
    {"execlog_rdisas", "execlog,ifilter=csr,ifilter=jalr,reg=ra,reg=t*,rdisas=on", kHello, 0, {kInsn}},
    {"cache",
     "cache",
     kKernels,
     0,
     {R"(core #, data accesses, data misses, dmiss rate, insn accesses, insn misses, imiss rate)",
      R"(0\s+\d+\s+\d+\s+\d+\.\d{4}%\s+\d+\s+\d+\s+\d+\.\d{4}%)", R"()",
      R"(address, data misses, instruction)", kMisses, R"()", R"(address, fetch misses, instruction)",
      kMisses}},
    {"cache_options",
     "cache,limit=3,icachesize=8192,iblksize=32,iassoc=4,dcachesize=8192,dblksize=32,dassoc=4,evict=fifo,"
     "cores=1,l2=on,"
     "l2cachesize=65536,l2blksize=64,l2assoc=8",
     kKernels,
     0,
     {R"(core #, data accesses, .*, l2 accesses, l2 misses, l2 miss rate)",
      R"(address, L2 misses, instruction)"}},
    {"stoptrigger_icount",
     "stoptrigger,icount=20:41,addr=0xd4,addr=0xd8:42",
     kHello,
     41,
     {R"(icount reached at 0x[0-9a-f]+, exiting)"}},
    {"stoptrigger_address", "stoptrigger,addr=0x80000010", kHello, 0, {R"(0x80000010 reached, exiting)"}},
    {"ips", "ips,ips=100000000", kHello, 0, {}},
};

class Page : public Plugins, public ::testing::WithParamInterface<Line> {
 protected:
  static std::string object(const std::string& plugin) {
    return HINDCAST_BUNDLED_PLUGINS "/lib" + std::string(plugin);
  }
  /// The options stand behind the shared object's name.
  static std::string object_with_options(const std::string& text) {
    const std::size_t comma = std::min(text.find(','), text.size());
    return object(text.substr(0, comma)) + ".so" + text.substr(comma);
  }
  static std::string image(const std::string& guest) {
    return std::string(HINDCAST_GUEST_DIR) + "/" + guest + "-rv64gc.elf";
  }
};

TEST_P(Page, TheLineIsUnderstoodAndItsOutputHasTheShape) {
  const Line& line = GetParam();
  if (!std::filesystem::exists(image(line.guest))) GTEST_SKIP() << "guest programs were not built";
  Strings words = {"run", "-plugin", object_with_options(line.plugin), "-d", "plugin", "-D", folder / "log"};
  words.insert(words.end(), line.more.begin(), line.more.end());
  words.push_back(image(line.guest));
  if (line.guest == kKernels) words.insert(words.end(), {"--", "crc", "1"});
  const Outcome outcome = hindcast(words);
  EXPECT_EQ(outcome.status, line.status) << outcome.describe();
  const std::string log = cli_test::read_file(folder / "log");
  const Strings lines = lines_of(log);
  std::size_t at = 0;
  for (const char* shape : line.shape) {
    const std::regex wanted(shape);
    while (at < lines.size() && !std::regex_match(lines[at], wanted)) ++at;
    ASSERT_LT(at, lines.size()) << "no line like " << shape << " in\n" << log.substr(0, 3000);
    ++at;
  }
}

INSTANTIATE_TEST_SUITE_P(Manual, Page, ::testing::ValuesIn(kLines),
                         [](const auto& info) { return std::string(info.param.name); });

/// Several plugins, and the environment variable.
TEST_F(Plugins, LinesOfTheManualForSeveralPlugins) {
  const std::string guest = HINDCAST_GUEST_DIR "/kernels-rv64gc.elf", log = folder / "log";
  if (!std::filesystem::exists(guest)) GTEST_SKIP() << "guest programs were not built";
  const std::string folder_of = HINDCAST_BUNDLED_PLUGINS "/lib";
  EXPECT_EQ(hindcast({"run", "-plugin", folder_of + "howvec.so,inline=on,count=load", "-plugin",
                      folder_of + "hotblocks.so", "-d", "plugin", "-D", log, guest, "--", "crc", "1"})
                .status,
            0);
  const std::string both = cli_test::read_file(log);
  EXPECT_NE(both.find("Individual Instructions:"), std::string::npos);
  EXPECT_NE(both.find("pc, tcount, icount, ecount"), std::string::npos);
  cli_test::SpawnOptions options;
  options.environment = {"QEMU_PLUGIN=file=" + folder_of + "howvec.so,inline=on,count=load"};
  const Outcome outcome = hindcast({"run", guest, "--", "crc", "1"}, "", options);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.err.find("Instr: "), std::string::npos) << outcome.describe();
  // Other kinds of log there are not.
  const Outcome other = hindcast({"run", "-d", "in_asm", guest});
  EXPECT_EQ(other.status, 125);
  EXPECT_TRUE(other.one_line()) << other.err;
}

}  // namespace
}  // namespace hindcast::plugin_test
