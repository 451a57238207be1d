// What no bundled plugin takes as an option: one line that says which, and nothing is run or recorded.
#include <filesystem>
#include <set>

#include "tests/plugins/fixture.h"

namespace hindcast::plugin_test {
namespace {

using cli_test::counter_program;
using cli_test::hindcast;

struct Wrong {
  const char* plugin;  // after -p
  const char* says;
};

constexpr const char* kNoSense = "makes no sense";

/// All of them; each at least once.
constexpr Wrong kWrong[] = {
    {"bb,inline=2", kNoSense},
    {"bb,idle=", kNoSense},
    {"bbv", "outfile=PATH is needed"},
    {"bbv,outfile=", kNoSense},
    {"bbv,outfile=x,interval=0", kNoSense},
    {"bbv,outfile=x,interval=-5", kNoSense},
    {"bbv,outfile=/nonexistent/x", "/nonexistent/x.0.bb cannot be written: No such file"},
    {"cache,icachesize=zz", kNoSense},
    {"cache,icachesize=99999999999999999999", kNoSense},
    {"cache,dcachesize=100", "the size is no multiple"},
    {"cache,dblksize=3", "power of two"},
    {"cache,iassoc=0", "at least 1"},
    {"cache,icachesize=0x1000000000000000", "larger than 1 GiB"},
    {"cache,iassoc=0x4000000000000000", "no multiple of a set's"},
    {"cache,l2cachesize=1,l2=on", "the size is no multiple"},
    {"cache,evict=mru", kNoSense},
    {"cache,cores=0", kNoSense},
    {"cache,cores=1000000000", "at most 1024"},
    {"cache,limit=all", kNoSense},
    {"cflow,sort=size", kNoSense},
    {"cflow,limit=", kNoSense},
    {"discons,abort=maybe", kNoSense},
    {"drcov,filename=", kNoSense},
    {"drcov,filename=/nonexistent/x", "/nonexistent/x cannot be written: No such file"},
    {"drcov,base=0xg", kNoSense},
    {"empty,inline=on", "not known; there is none"},
    {"execlog,reg=zz", "reg=zz: there is no such register"},
    {"execlog,reg=t0,reg=q*", "reg=q*: there is no such register"},
    {"execlog,reg=", kNoSense},
    {"execlog,ifilter=", kNoSense},
    {"execlog,afilter=xyz", kNoSense},
    {"execlog,afilter=-1", kNoSense},
    {"execlog,afilter=10000000000000000", kNoSense},
    {"execlog,rdisas=7", kNoSense},
    {"hotblocks,limit=18446744073709551616", kNoSense},
    {"hotblocks,inline=x", kNoSense},
    {"hotpages,sortby=name", kNoSense},
    {"hotpages,pagesize=1000", kNoSense},
    {"hotpages,pagesize=0", kNoSense},
    {"hotpages,limit=+3", kNoSense},
    {"howvec,count=zz", "count=zz: there is no such class; there is all, arithmetic, load"},
    {"howvec,count=!loads", "count=loads: there is no such class"},
    {"howvec,count=", kNoSense},
    {"hwprofile,track=rw", kNoSense},
    {"hwprofile,match=0x", kNoSense},
    {"hwprofile,source,pattern", "source and pattern exclude each other"},
    {"inline,verbose=on", "not known; there is none"},
    {"insn,match=", kNoSense},
    {"insn,sizes=yess", kNoSense},
    {"ips", "ips=N is needed"},
    {"ips,ips=0", kNoSense},
    {"ips,ips=5t", kNoSense},
    {"ips,ips=99999999999999999g", kNoSense},
    {"ips,ips=1k,ipq=0", kNoSense},
    {"lockstep", "sockpath="},
    {"lockstep,sockpath=", ""},
    {"mem,track=x", kNoSense},
    {"mem,callback=1", kNoSense},
    {"stoptrigger", "icount=N or addr=ADDRESS is needed"},
    {"stoptrigger,icount=0", kNoSense},
    {"stoptrigger,icount=5:256", kNoSense},
    {"stoptrigger,icount=5:", kNoSense},
    {"stoptrigger,addr=here", kNoSense},
    {"syscall,write=no", kNoSense},
    {"uftrace,dir=", kNoSense},
    {"uftrace,dir=/nonexistent/x", "/nonexistent/x cannot be made: No such file"},
    {"uftrace,dir=/dev/null", "cannot be written"},
    {"uftrace,trace-privilege-level=3", kNoSense},
};

using Options = Plugins;

TEST_F(Options, ThatMakeNoSenseAreRefusedWithOneLine) {
  const std::string image = program("counter", counter_program(5, 100)), rec = folder / "rec";
  for (const auto& [plugin, says] : kWrong) {
    const Outcome outcome = hindcast({"record", "-o", rec, "-p", plugin, image});
    EXPECT_EQ(outcome.status, 125) << plugin << ": " << outcome.describe();
    EXPECT_EQ(outcome.out, "") << plugin;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << plugin << ": " << outcome.describe();
    EXPECT_TRUE(outcome.one_line()) << plugin << ": " << outcome.describe();
    EXPECT_FALSE(std::filesystem::exists(rec)) << plugin;
  }
}

TEST_F(Options, OfEveryPluginAreInTheTable) {
  std::set<std::string> tried;
  for (const Wrong& wrong : kWrong)
    tried.insert(std::string(wrong.plugin).substr(0, std::string(wrong.plugin).find(',')));
  const Outcome list = hindcast({"list", "plugins"});
  std::size_t plugins = 0;
  for (const std::string& line : lines_of(list.out)) {
    const std::string name = line.substr(0, line.find(' '));
    if (name.empty()) continue;
    ++plugins;
    EXPECT_TRUE(tried.contains(name)) << name;
  }
  EXPECT_GE(plugins, 20u);
}

}  // namespace
}  // namespace hindcast::plugin_test
