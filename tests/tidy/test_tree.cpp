// The rules on the whole tree. What is there already is listed in ratchet.txt, a count for each rule and
// file: it may only go down, and the list has to follow.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
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

/// What a file includes of ours, and the unordered containers that it declares.
struct Declared {
  std::vector<std::string> includes;
  std::set<std::string> unordered;
};

Declared declared_in(const SourceFile& file) {
  Declared declared{{}, unordered_names(file.text)};
  std::istringstream in(file.text);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("#include \"")) declared.includes.push_back(line.substr(10, line.rfind('"') - 10));
  return declared;
}

/// The unordered containers of all headers that `path` includes, directly or through others.
std::set<std::string> members_from_headers(const std::string& path,
                                           const std::map<std::string, Declared>& all) {
  std::set<std::string> names, seen = {path};
  std::vector<std::string> waiting = {path};
  while (!waiting.empty()) {
    const Declared& declared = all.at(waiting.back());
    waiting.pop_back();
    for (const std::string& include : declared.includes) {
      auto found = all.find(include);
      if (found == all.end() || !seen.insert(include).second) continue;
      names.insert(found->second.unordered.begin(), found->second.unordered.end());
      waiting.push_back(include);
    }
  }
  return names;
}

TEST(TidyTree, FollowsTheRules) {
  const std::vector<SourceFile> files = tree();
  EXPECT_GT(files.size(), 50u) << "the sources were not found below " HINDCAST_SOURCE_DIR;
  std::map<std::string, Declared> declared;
  for (const SourceFile& file : files) declared[file.path] = declared_in(file);
  std::map<std::string, std::vector<Finding>> found;
  for (const SourceFile& file : files) {
    for (Finding& finding : check(file, members_from_headers(file.path, declared)))
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
