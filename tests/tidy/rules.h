// What docs/decisions.md asks of every source file and a program can check. Each rule works on text, so that
// its own test can show that it fails when it should.
#pragma once
#include <set>
#include <string>
#include <vector>

namespace hindcast::tidy {

struct Finding {
  std::string rule;  // "include", "banned", "order", "name", "layout", "columns", "length", "function"
  std::string path;
  unsigned line = 0;  // 1-based; 0: the whole file
  std::string text;
};

struct SourceFile {
  std::string path;  // relative to the root, with '/'
  std::string text;
};

/// `text` with comments (and, if asked, the contents of string and character literals) replaced by blanks;
/// line numbers stay.
std::string without_comments(const std::string& text, bool strings_too);

/// Include directions: a folder uses only what the table in rules.cpp allows it, and libraries stay where
/// they belong.
void check_includes(const SourceFile& file, std::vector<Finding>& out);
/// Calls that ask the host, in the deterministic core (engine/, targets/, the guest half of semihost/).
void check_banned_calls(const SourceFile& file, std::vector<Finding>& out);
/// The names of unordered containers that a text declares.
std::set<std::string> unordered_names(const std::string& text);
/// Iteration over unordered containers in the deterministic core: the file's own, and the members named
/// `members`, which the headers that it includes declare. A line whose comment, or the one above it, says "in
/// any order" has a reason why the order does not matter.
void check_hash_order(const SourceFile& file, const std::set<std::string>& members,
                      std::vector<Finding>& out);
/// Names of guest architectures outside targets/.
void check_architecture_names(const SourceFile& file, std::vector<Finding>& out);
/// Tabs, trailing spaces, carriage returns, the last line's end, marks of unfinished work.
void check_layout(const SourceFile& file, std::vector<Finding>& out);
/// Lines of more than 110 columns; files of more than 500 lines.
void check_columns(const SourceFile& file, std::vector<Finding>& out);
void check_length(const SourceFile& file, std::vector<Finding>& out);
/// Functions of more than 90 lines, by the layout that clang-format gives them.
void check_functions(const SourceFile& file, std::vector<Finding>& out);

/// All of them on one file. `members`: as for check_hash_order().
std::vector<Finding> check(const SourceFile& file, const std::set<std::string>& members);

}  // namespace hindcast::tidy
