#include "tests/riscv/insn_cases.h"

#include <fstream>
#include <sstream>

namespace hindcast::test {
namespace {

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

u64 number(const std::string& text) {
  std::size_t used = 0;
  const u64 value =
      text.starts_with("-") ? static_cast<u64>(std::stoll(text, &used, 0)) : std::stoull(text, &used, 0);
  if (used != text.size()) throw std::runtime_error("not a number: " + text);
  return value;
}

std::vector<Assignment> assignments(const std::string& text) {
  std::vector<Assignment> list;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) throw std::runtime_error("not an assignment: " + word);
    Assignment a;
    a.place = word.substr(0, equals);
    a.value = number(word.substr(equals + 1));
    if (const std::size_t colon = a.place.find(':'); colon != std::string::npos) {
      a.memory_bits = static_cast<unsigned>(number(a.place.substr(1, colon - 1)));
      a.address = number(a.place.substr(colon + 1));
      a.place.clear();
    }
    list.push_back(std::move(a));
  }
  return list;
}

InsnCase read_case(const std::string& line) {
  InsnCase c;
  const std::size_t bar1 = line.find('|'), bar2 = line.find('|', bar1 + 1), arrow = line.find("=>", bar2);
  if (bar1 == std::string::npos || bar2 == std::string::npos || arrow == std::string::npos) {
    throw std::runtime_error("a case is: CPU BYTES | TEXT | INPUTS => OUTPUTS");
  }
  std::istringstream head(line.substr(0, bar1));
  head >> c.cpu;
  for (std::string byte; head >> byte;) c.code.push_back(static_cast<u8>(number("0x" + byte)));
  c.text = trimmed(line.substr(bar1 + 1, bar2 - bar1 - 1));
  c.inputs = assignments(line.substr(bar2 + 1, arrow - bar2 - 1));
  c.outputs = assignments(line.substr(arrow + 2));
  return c;
}

}  // namespace

std::vector<InsnCase> read_insn_cases(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error(path + ": cannot be read");
  std::vector<InsnCase> cases;
  std::string line;
  for (unsigned n = 1; std::getline(in, line); ++n) {
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    try {
      cases.push_back(read_case(line));
    } catch (const std::exception& e) {
      throw std::runtime_error(path + ":" + std::to_string(n) + ": " + e.what());
    }
    cases.back().line = n;
  }
  return cases;
}

}  // namespace hindcast::test
