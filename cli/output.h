// Standard output of the commands that report: all of it arrives, or the command fails.
#pragma once
#include <fmt/format.h>

#include <string_view>

namespace hindcast::cli {

/// Adds `text` to the report. False when nobody reads it any more (a closed pipe): the rest may be left out,
/// and the command's status is what it would have been. Throws Fatal if it cannot be written otherwise.
bool put_out(std::string_view text);
/// The same with formatting.
template <typename... Args>
bool print_out(fmt::format_string<Args...> format, Args&&... args) {
  return put_out(fmt::format(format, std::forward<Args>(args)...));
}
/// To be called at the end of every report: what was added may wait until then. Throws as put_out() does.
void finish_out();

}  // namespace hindcast::cli
