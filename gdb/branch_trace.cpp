#include "gdb/branch_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace hindcast::gdb {

std::string BranchTrace::handle(Fields fields) {
  if (fields.take("-conf:bts:size=")) {
    fields.take("0x");
    const auto size = fields.number();
    if (!size || !fields.empty()) return "E01";
    length_ = std::clamp<u64>(*size, 1, kMaxLength);
    return "OK";
  }
  if (fields.rest() == ":bts" || fields.rest() == ":off") {
    on_ = fields.rest() == ":bts";
    return "OK";
  }
  return "";
}

std::optional<std::string> BranchTrace::configuration() const {
  if (!on_) return std::nullopt;
  return fmt::format(
      "<!DOCTYPE btrace-conf SYSTEM \"btrace-conf.dtd\">\n<btrace-conf version=\"1.0\">\n"
      "<bts size=\"{:#x}\"/>\n</btrace-conf>\n",
      length_);
}

std::optional<std::string> BranchTrace::document(std::string_view annex, unsigned vcpu) {
  // There is no "since last time": the cursor may have gone anywhere.
  if (!on_ || annex != "all") return std::nullopt;
  struct Block {
    GuestAddr begin, end;  // its first and its last instruction
  };
  std::vector<Block> blocks;  // oldest first
  const unsigned longest = navigator_.machine().arch().max_insn_bytes();
  const bool whole = motion_.walk_here(vcpu, length_, [&](GuestAddr pc) {
    const bool follows = !blocks.empty() && pc > blocks.back().end && pc - blocks.back().end <= longest;
    if (follows)
      blocks.back().end = pc;
    else
      blocks.push_back({pc, pc});
  });
  if (!whole) return std::nullopt;
  std::string out = "<!DOCTYPE btrace SYSTEM \"btrace.dtd\">\n<btrace version=\"1.0\">\n";
  for (auto it = blocks.rbegin(); it != blocks.rend(); ++it)
    out += fmt::format("<block begin=\"{:#x}\" end=\"{:#x}\"/>\n", it->begin, it->end);
  return out + "</btrace>\n";
}

}  // namespace hindcast::gdb
