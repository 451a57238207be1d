// How a softfloat test compares one case and says what differs. A broken operation differs a hundred thousand
// times, so the rest is only counted after the first few.
#pragma once
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <utility>

#include "engine/softfloat/fp.h"

namespace hindcast::fp::test {

struct Result {
  u64 value = 0;
  u32 flags = 0;
  bool operator==(const Result&) const = default;
};

inline std::string to_text(const Result& result) {
  std::ostringstream out;
  out << std::hex << "0x" << result.value << " flags";
  const std::pair<u32, const char*> names[] = {{kInvalid, "invalid"},
                                               {kDivByZero, "div-by-zero"},
                                               {kOverflow, "overflow"},
                                               {kUnderflow, "underflow"},
                                               {kInexact, "inexact"}};
  for (const auto& [bit, name] : names) {
    if ((result.flags & bit) != 0) out << ' ' << name;
  }
  if (result.flags == 0) out << " none";
  return out.str();
}

class Report {
 public:
  explicit Report(std::string operation) : operation_(std::move(operation)) {}
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;
  ~Report() {
    EXPECT_GT(cases_, 0u) << operation_;
    EXPECT_EQ(differing_, 0u) << operation_ << ": of " << cases_ << " cases";
  }

  void check(Round rm, std::initializer_list<u64> operands, const Result& got, const Result& want) {
    ++cases_;
    if (got == want || ++differing_ > 5) return;
    std::ostringstream out;
    out << operation_ << std::hex;
    for (u64 operand : operands) out << " 0x" << operand;
    out << ", rounding mode " << static_cast<int>(rm);
    ADD_FAILURE() << out.str() << "\n  got  " << to_text(got) << "\n  want " << to_text(want);
  }

 private:
  std::string operation_;
  u64 cases_ = 0, differing_ = 0;
};

/// Calls `operation(flags)` and keeps what it returned and raised.
template <typename Operation>
Result run(Operation&& operation) {
  Result result;
  result.value = static_cast<u64>(operation(result.flags));
  return result;
}

}  // namespace hindcast::fp::test
