// What hindcast offers plugins beyond the interface, as far as it stands for itself.
#include "plugins/api.h"
#include "plugins/include/hindcast-plugin.h"

using namespace hindcast::plugins;

extern "C" {

uint64_t hindcast_icount(void) {
  PluginHost& host = host_of(__func__);
  if (!host.attached()) return 0;
  host.machine().settle_callback();
  return host.machine().icount();
}

size_t hindcast_read_registers(uint64_t* values, size_t room) {
  PluginHost& host = host_of(__func__);
  if (!host.attached()) return 0;
  host.machine().settle_callback();
  size_t n = 0;
  each_register(host, [&](const hindcast::RegisterRow&, unsigned number) {
    if (n < room) values[n] = register_value(host, number);
    ++n;
  });
  return n;
}

const char* hindcast_insn_class_name(size_t index) {
  PluginHost& host = host_of(__func__);
  const auto names = host.attached() ? host.machine().arch().insn_classes() : std::vector<const char*>();
  return index < names.size() ? names[index] : nullptr;
}

bool hindcast_limited(void) { return host_of(__func__).limited(); }

}  // extern "C"
