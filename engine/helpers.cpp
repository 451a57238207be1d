#include "engine/helpers.h"

#include <deque>
#include <map>

namespace hindcast {

namespace {

// Filled while targets register themselves, on one thread, before any machine exists; read-only afterwards.
struct HelperTable {
  std::deque<Helper> rows;
  std::map<std::string_view, u32> by_name;
};

HelperTable& table() {
  static HelperTable instance;
  return instance;
}

u32 add(const Helper& row) {
  HelperTable& t = table();
  const auto [it, inserted] = t.by_name.try_emplace(row.name, static_cast<u32>(t.rows.size()));
  if (inserted) {
    t.rows.push_back(row);
  } else if (const Helper& old = t.rows[it->second]; old.fn != row.fn || old.pure != row.pure) {
    throw Fatal(std::string("internal error: two helpers are named '") + row.name + "'; rename one of them");
  }
  return it->second;
}

}  // namespace

u32 register_helper(const char* name, HelperFn fn) { return add({name, fn, nullptr}); }
u32 register_pure_helper(const char* name, PureFn fn) { return add({name, nullptr, fn}); }

u32 helper_count() { return static_cast<u32>(table().rows.size()); }

const Helper& helper(u32 number) {
  const HelperTable& t = table();
  if (number >= t.rows.size()) {
    throw Fatal("internal error: there is no helper number " + std::to_string(number));
  }
  return t.rows[number];
}

u32 find_helper(std::string_view name) {
  const HelperTable& t = table();
  const auto it = t.by_name.find(name);
  return it == t.by_name.end() ? kNoHelper : it->second;
}

}  // namespace hindcast
