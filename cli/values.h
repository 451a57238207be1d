// Values on the command line, as text: numbers, sizes, lists of key=value, files. Every function throws Fatal
// with one line that names the option.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/types.h"

namespace hindcast::cli {

/// A whole number, decimal or 0x hexadecimal, in [min, max].
u64 parse_number(const std::string& option, const std::string& text, u64 min = 0, u64 max = kNever);
/// A size in bytes, at least 1: a number with K, M, G, T, P or E (powers of 1024, "iB" or "B" may follow); a
/// bare number counts `unit` bytes. What is larger than 2^63-1 becomes that: how much is too much, the user
/// of the value says.
u64 parse_size(const std::string& option, const std::string& text, u64 unit);
/// A time in nanoseconds: a number with ms, s, min, h or d.
u64 parse_duration(const std::string& option, const std::string& text);
/// on, off, yes, no, true, false.
bool parse_switch(const std::string& option, const std::string& text);

/// "NAME,k=v,k2=v2" cut at the commas; ",," stands for a comma inside a value.
std::vector<std::string> split_commas(const std::string& text);
/// "k=v"; without "=" the value is "on".
std::pair<std::string, std::string> split_pair(const std::string& text);
/// "VALUE@ADDR", at the last "@".
std::pair<std::string, u64> split_address(const std::string& option, const std::string& text);

/// The whole content of a regular file of at most 4 GiB.
Bytes read_file(const std::string& option, const std::string& path);

/// For messages and reports: control characters and what is no UTF-8 become \xNN.
std::string printable(std::string_view text);
/// "hindcast: TEXT" as one line on stderr. One that cannot be written is lost: the exit status still says it.
void complain(const std::string& text);

}  // namespace hindcast::cli
