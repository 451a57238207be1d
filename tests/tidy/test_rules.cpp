// Each rule finds what it is for, and leaves alone what is fine.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/tidy/rules.h"

namespace hindcast::tidy {
namespace {

using Rule = void (*)(const SourceFile&, std::vector<Finding>&);

unsigned count(Rule rule, const std::string& path, const std::string& text) {
  std::vector<Finding> out;
  rule({path, text}, out);
  return static_cast<unsigned>(out.size());
}

TEST(TidyRules, CommentsAndStringsAreBlanked) {
  EXPECT_EQ(without_comments("a // b\nc /* d\ne */ f", false), "a     \nc     \n     f");
  EXPECT_EQ(without_comments("x = \"// y\\\"\" + 'z'; // w", true), "x = \"      \" + ' ';     ");
  EXPECT_EQ(without_comments("1'000 + R\"(a//b)\" // c", true), "1'000 + R\"(    )\"     ");
  EXPECT_EQ(without_comments("\"a//b\"", false), "\"a//b\"");
}

TEST(TidyRules, IncludeDirections) {
  EXPECT_EQ(count(check_includes, "engine/a.cpp", "#include \"engine/b.h\"\n#include <vector>\n"), 0u);
  EXPECT_EQ(count(check_includes, "engine/a.cpp", "#include \"storage/b.h\"\n"), 1u);
  EXPECT_EQ(count(check_includes, "engine/a.cpp", "#include \"targets/targets.h\"\n"), 1u);
  EXPECT_EQ(count(check_includes, "storage/a.h", "#include \"engine/types.h\"\n"), 1u);
  EXPECT_EQ(count(check_includes, "semihost/a.h", "#include \"replay/session.h\"\n"), 1u);
  EXPECT_EQ(count(check_includes, "targets/x/a.cpp", "#include \"replay/session.h\"\n"), 1u);
  EXPECT_EQ(count(check_includes, "targets/x/a.cpp", "#include \"semihost/service.h\"\n"), 0u);
  EXPECT_EQ(count(check_includes, "replay/a.cpp", "# include \"targets/targets.h\"\n"), 1u);
  EXPECT_EQ(count(check_includes, "replay/a.cpp", "// #include \"targets/targets.h\"\n"), 0u);
  EXPECT_EQ(count(check_includes, "cli/a.cpp", "#include \"targets/targets.h\"\n"), 0u);
  EXPECT_EQ(count(check_includes, "engine/a.cpp", "#include <rocksdb/db.h>\n"), 1u);
  EXPECT_EQ(count(check_includes, "targets/a.cpp", "#include <asmjit/asmjit.h>\n"), 1u);
  EXPECT_EQ(count(check_includes, "targets/devices/a.cpp", "#include <unistd.h>\n"), 1u);
  EXPECT_EQ(count(check_includes, "targets/devices/a.cpp", "#include <sys/time.h>\n"), 1u);
  EXPECT_EQ(count(check_includes, "semihost/service.cpp", "#include <fstream>\n"), 1u);
  EXPECT_EQ(count(check_includes, "semihost/host_files.cpp", "#include <unistd.h>\n"), 0u);
}

TEST(TidyRules, BannedCalls) {
  for (const char* line :
       {"int a = rand();", "x = std::rand ();", "time(nullptr)", "::clock_gettime(CLOCK_REALTIME, &t);",
        "gettimeofday(&tv, 0);", "getenv(\"HOME\")", "std::random_device d;", "__rdtsc()",
        "auto t = std::chrono::steady_clock::now();", "asm volatile(\"rdtsc\" : : );",
        "std::hash<Device*>{}(d)", "getrandom(p, n, 0)"}) {
    EXPECT_EQ(count(check_banned_calls, "engine/a.cpp", line), 1u) << line;
    EXPECT_EQ(count(check_banned_calls, "targets/devices/a.cpp", line), 1u) << line;
    EXPECT_EQ(count(check_banned_calls, "semihost/service.cpp", line), 1u) << line;
    EXPECT_EQ(count(check_banned_calls, "replay/a.cpp", line), 0u) << line;
  }
  for (const char* line : {"clock.time(3);", "machine.clock().now()", "next_time(now);", "// rand()",
                           "\"rand()\"", "u64 operand(int);", "brand();"})
    EXPECT_EQ(count(check_banned_calls, "engine/a.cpp", line), 0u) << line;
}

TEST(TidyRules, HashOrder) {
  auto found = [](const std::string& path, const std::string& text, const std::string& header) {
    std::vector<Finding> out;
    check_hash_order({path, text}, unordered_names(header), out);
    return out.size();
  };
  const std::string header =
      "std::unordered_map<u64, std::vector<int>> lines_;\nstd::map<int, int> sorted_;\n";
  EXPECT_EQ(found("targets/devices/a.cpp", "for (auto& [k, v] : lines_) f(k);", header), 1u);
  EXPECT_EQ(found("targets/devices/a.cpp", "auto it = lines_.begin();", header), 1u);
  EXPECT_EQ(found("targets/devices/a.cpp", "for (auto& x : this->lines_) f(x);", header), 1u);
  EXPECT_EQ(found("targets/devices/a.cpp", "for (auto& [k, v] : sorted_) f(k); lines_.find(3);", header), 0u);
  EXPECT_EQ(found("targets/a.cpp", "std::unordered_set<int> s;\nfor (int i : s) g(i);", ""), 1u);
}

TEST(TidyRules, HashOrderInTheEngineToo) {
  auto found = [](const std::string& text) {
    std::vector<Finding> out;
    check_hash_order({"engine/a.cpp", text}, {"blocks"}, out);
    return out.size();
  };
  EXPECT_EQ(found("for (auto& [pc, b] : context.blocks) f(b);"), 1u);
  EXPECT_EQ(found("// They are freed in any order.\nfor (auto& [pc, b] : context.blocks) f(b);"), 0u);
  EXPECT_EQ(found("context.blocks.find(3);"), 0u);
}

TEST(TidyRules, LongFunctions) {
  auto lines = [](unsigned n) {
    std::string text;
    for (unsigned i = 0; i < n; ++i) text += "  f();\n";
    return text;
  };
  for (const char* head :
       {"void f() {\n", "int A::f(int a,\n         int b) const {\n", "TEST(A, B) {\n",
        "  bool operator()(int x) override {\n", "A::A(int x)\n    : a_(x),\n      b_(x) {\n"}) {
    const unsigned own = static_cast<unsigned>(std::count(head, head + std::string(head).size(), '\n')) + 1;
    const std::string end = head[0] == ' ' ? "  }\n" : "}\n";
    EXPECT_EQ(count(check_functions, "engine/a.cpp", head + lines(90 - own) + end), 0u) << head;
    EXPECT_EQ(count(check_functions, "engine/a.cpp", head + lines(91 - own) + end), 1u) << head;
  }
  for (const char* head :
       {"struct A {\n", "namespace {\n", "const int kTable[] = {\n", "class A : public B {\n",
        "  auto f = [&](int x) {\n", "  if (a(b)) {\n", "enum class E : u8 {\n"})
    EXPECT_EQ(count(check_functions, "engine/a.cpp", head + lines(100) + "}\n"), 0u) << head;
}

TEST(TidyRules, ArchitectureNames) {
  EXPECT_EQ(count(check_architecture_names, "engine/a.cpp", "int riscv_mode;"), 1u);
  EXPECT_EQ(count(check_architecture_names, "replay/a.cpp", "if (cpu == \"rv64\") f();"), 1u);
  EXPECT_EQ(count(check_architecture_names, "engine/a.h", "const char* name;  // \"riscv64\""), 0u);
  EXPECT_EQ(count(check_architecture_names, "targets/riscv/a.h", "struct Riscv;"), 0u);
}

TEST(TidyRules, Layout) {
  EXPECT_EQ(count(check_layout, "a.txt", "fine\n"), 0u);
  EXPECT_EQ(count(check_layout, "a.txt", "a\tb\n"), 1u);
  EXPECT_EQ(count(check_layout, "a.txt", "a \nb\r\n"), 2u);
  EXPECT_EQ(count(check_layout, "a.txt", "a"), 1u);
  EXPECT_EQ(count(check_layout, "a.cpp", "// TODO\n"), 1u);
  EXPECT_EQ(count(check_columns, "a.cpp", std::string(110, 'x') + "\n"), 0u);
  EXPECT_EQ(count(check_columns, "a.cpp", std::string(111, 'x') + "\n"), 1u);
  EXPECT_EQ(count(check_length, "a.cpp", std::string(500, '\n')), 0u);
  EXPECT_EQ(count(check_length, "a.cpp", std::string(503, '\n')), 3u);
}

}  // namespace
}  // namespace hindcast::tidy
