// The rules on the whole tree. What is there already is listed in ratchet.txt, a count for each rule and
// file: it may only go down, and the list has to follow.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/tidy/rules.h"

namespace hindcast::tidy {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool is_checked(const fs::path& path) {
  static const char* const ends[] = {".h",    ".cpp", ".inc", ".def", ".fbs", ".md",  ".txt", ".cmake",
                                     ".json", ".c",   ".S",   ".ld",  ".sh",  ".dts", ".ins"};
  std::string name = path.filename().string();
  for (const char* end : ends)
    if (name.ends_with(end)) return true;
  return path.parent_path().filename() == "scripts";
}

std::vector<SourceFile> tree() {
  const fs::path root = HINDCAST_SOURCE_DIR;
  std::vector<SourceFile> files;
  for (const char* folder : {".", "engine", "storage", "semihost", "targets", "replay", "plugins", "gdb",
                             "cli", "tests", "benchmarks", "scripts", "docs"}) {
    if (!fs::exists(root / folder)) continue;
    auto take = [&](const fs::directory_entry& entry) {
      if (entry.is_regular_file() && is_checked(entry.path()))
        files.push_back({fs::relative(entry.path(), root).generic_string(), read(entry.path())});
    };
    if (std::string(folder) == ".")
      for (const auto& entry : fs::directory_iterator(root)) take(entry);
    else
      for (const auto& entry : fs::recursive_directory_iterator(root / folder)) take(entry);
  }
  return files;
}

std::map<std::string, unsigned> ratchet() {
  std::map<std::string, unsigned> allowed;
  std::istringstream in(read(fs::path(HINDCAST_SOURCE_DIR) / "tests/tidy/ratchet.txt"));
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string rule, path;
    unsigned count;
    if (line.starts_with("#") || !(words >> rule >> path >> count)) continue;
    allowed[rule + " " + path] = count;
  }
  return allowed;
}

TEST(TidyTree, FollowsTheRules) {
  const std::vector<SourceFile> files = tree();
  EXPECT_GT(files.size(), 50u) << "the sources were not found below " HINDCAST_SOURCE_DIR;
  std::map<std::string, std::vector<Finding>> found;
  for (const SourceFile& file : files) {
    fs::path header = fs::path(HINDCAST_SOURCE_DIR) / file.path;
    header.replace_extension(".h");
    for (Finding& finding : check(file, fs::exists(header) ? read(header) : ""))
      found[finding.rule + " " + finding.path].push_back(std::move(finding));
  }
  const std::map<std::string, unsigned> allowed = ratchet();
  for (const auto& [key, findings] : found) {
    auto limit = allowed.find(key);
    unsigned most = limit == allowed.end() ? 0 : limit->second;
    if (findings.size() <= most) continue;
    for (const Finding& finding : findings)
      ADD_FAILURE() << finding.path << ":" << finding.line << ": " << finding.rule << ": " << finding.text;
  }
  for (const auto& [key, most] : allowed) {
    unsigned now = found.contains(key) ? static_cast<unsigned>(found.at(key).size()) : 0;
    EXPECT_GE(now, most) << "tests/tidy/ratchet.txt: '" << key << "' is down to " << now
                         << "; lower the line, or remove it";
  }
}

}  // namespace
}  // namespace hindcast::tidy
