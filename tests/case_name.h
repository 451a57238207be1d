// googletest's names of parameterized cases are identifiers; boards' and guests' names are not.
#pragma once
#include <algorithm>
#include <string>

namespace hindcast {

/// The name with '_' for '-'.
inline std::string case_name(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace hindcast
