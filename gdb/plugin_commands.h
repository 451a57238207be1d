// Plugins, as `monitor plugin` knows them; the command supplies them.
#pragma once
#include <string>

namespace hindcast::gdb {

class PluginCommands {
 public:
  virtual ~PluginCommands() = default;
  // Lines for the user; Fatal with one if it cannot be done.
  virtual std::string load(const std::string& text) = 0;
  virtual std::string unload(unsigned number) = 0;
  virtual std::string list() = 0;
  /// The cursor has come to rest somewhere.
  virtual void follow() = 0;
  /// From any thread: follow() returns soon.
  virtual void interrupt() = 0;
};

}  // namespace hindcast::gdb
