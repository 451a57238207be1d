// The interface's functions: accesses' places and values, registers, memory, changes.
#include <glib.h>

#include <algorithm>
#include <cstring>

#include "engine/register_names.h"
#include "engine/soft_tlb.h"
#include "plugins/api.h"
#include "plugins/include/hindcast-plugin.h"

namespace hindcast::plugins {
namespace {

constexpr std::size_t kLargestRead = std::size_t{1} << 30;

void describe_block(const RamBlock& block, GuestAddr physical, qemu_plugin_hwaddr& out) {
  out.physical = physical;
  out.io = !block.direct;
  out.base = block.base;
  out.name = out.io ? host_of("an address").intern(block.name) : "RAM";
}

/// What is at a physical address; false: nothing.
bool describe(GuestAddr physical, qemu_plugin_hwaddr& out) {
  PluginHost& host = host_of("an address");
  const AddressSpace& memory = host.machine().memory();
  out.physical = physical;
  if (const RamBlock* block = memory.find_ram(physical)) {
    describe_block(*block, physical, out);
    return true;
  }
  for (const AddressSpace::DeviceRange& device : memory.devices()) {
    if (physical - device.base >= device.size) continue;
    out.io = true;
    out.base = device.base;
    out.name = host.intern(device.name);
    return true;
  }
  return false;
}

/// The same for the place of the access at hand, if the soft TLB by which it was made knows that place still:
/// most accesses are to memory, and walking the page tables for each takes several times as long as running
/// the guest.
bool describe_known(Vcpu& vcpu, GuestAddr address, qemu_plugin_hwaddr& out) {
  const SoftTlb* tlb = vcpu.header().tlb;
  if (tlb == nullptr || tlb->generation != vcpu.protection_generation()) return false;
  const unsigned page_bits = vcpu.arch().page_bits();
  const u8* host = tlb->find(address, 1, page_bits, false);
  if (host == nullptr) host = tlb->find(address, 1, page_bits, true);
  if (host == nullptr) return false;
  for (const auto& block : vcpu.machine().memory().ram_blocks()) {
    const auto offset = static_cast<u64>(host - block->host);
    if (offset >= block->size) continue;
    if (!block->others.empty()) return false;  // which of its addresses it was is not known here
    describe_block(*block, block->base + offset, out);
    return true;
  }
  return false;
}

/// Calls fn(physical, size) for the pieces of guest virtual memory, whatever protection says. False: not all
/// of it is memory, or fn has returned false.
template <typename Fn>
bool each_piece(u64 address, std::size_t size, Fn fn) {
  PluginHost& host = host_of("an access");
  const u64 page = u64{1} << host.machine().arch().page_bits();
  while (size != 0) {
    const std::size_t n = std::min<std::size_t>(size, page - (address & (page - 1)));
    GuestAddr physical = 0;
    if (!host.machine().arch().debug_translate(host.vcpu(), address, &physical)) return false;
    if (!fn(physical, n)) return false;
    address += n;
    size -= n;
  }
  return true;
}

/// What is there, with what is about to be written.
bool read_physical(GuestAddr address, u8* out, std::size_t size) {
  PluginHost& host = host_of("a read");
  if (!host.machine().memory().host_read(address, out, size)) return false;
  host.changes().overlay(address, out, size);
  return true;
}

enum qemu_plugin_hwaddr_operation_result why_not(GuestAddr address) {
  return host_of("an access").machine().memory().name_at(address).empty()
             ? QEMU_PLUGIN_HWADDR_OPERATION_INVALID_ADDRESS
             : QEMU_PLUGIN_HWADDR_OPERATION_DEVICE_ERROR;
}

const RegisterRow* row_of(qemu_plugin_register* handle, unsigned& number) {
  const auto rows = host_of("a register").machine().arch().registers();
  number = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(handle) - 1);
  return number < rows.size() ? &rows[number] : nullptr;
}

bool append_register(qemu_plugin_register* handle, GByteArray* buffer, unsigned& size) {
  PluginHost& host = host_of("qemu_plugin_read_register");
  unsigned number = 0;
  const RegisterRow* row = row_of(handle, number);
  if (row == nullptr || buffer == nullptr || !host.attached()) return false;
  host.machine().settle_callback();
  const Architecture& arch = host.machine().arch();
  const u64 value = register_value(host, number);
  size = std::max(1u, ir::bits_of(row->type) / 8);
  std::array<u8, 8> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  if (arch.big_endian()) std::reverse(bytes.begin(), bytes.begin() + size);
  g_byte_array_append(buffer, bytes.data(), size);
  return true;
}

/// Descriptors as far as version 5; later ones have one more word.
struct OldDescriptor {
  qemu_plugin_register* handle;
  const char* name;
  const char* feature;
};

/// Asks for the register to be written. The pc is set_pc()'s.
bool change_register(Plugin* plugin, qemu_plugin_register* handle, const GByteArray* buffer) {
  PluginHost& host = host_of("qemu_plugin_write_register");
  if (!host.may_change(Permission::Registers, plugin)) return false;
  unsigned number = 0;
  const RegisterRow* row = row_of(handle, number);
  const Architecture& arch = host.machine().arch();
  if (row == nullptr || row->zero || number == arch.pc_register() || buffer == nullptr) return false;
  const unsigned size = std::max(1u, ir::bits_of(row->type) / 8);
  if (buffer->len != size) return false;
  std::array<u8, 8> bytes = {};
  std::memcpy(bytes.data(), buffer->data, size);
  if (arch.big_endian()) std::reverse(bytes.begin(), bytes.begin() + size);
  u64 value;
  std::memcpy(&value, bytes.data(), sizeof value);
  host.change().write_register(host.vcpu().index(), number, value);
  return true;
}

}  // namespace
}  // namespace hindcast::plugins

using namespace hindcast::plugins;
using hindcast::InstrAccess;

extern "C" {

// ---- accesses ----

unsigned int qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t info) {
  return InstrAccess::unpack(info).size_shift;
}
bool qemu_plugin_mem_is_sign_extended(qemu_plugin_meminfo_t info) {
  return InstrAccess::unpack(info).sign_extended;
}
bool qemu_plugin_mem_is_big_endian(qemu_plugin_meminfo_t info) {
  return InstrAccess::unpack(info).big_endian;
}
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info) { return InstrAccess::unpack(info).store; }

qemu_plugin_mem_value qemu_plugin_mem_get_value(qemu_plugin_meminfo_t info) {
  qemu_plugin_mem_value out;
  std::memset(&out, 0, sizeof out);
  const unsigned shift = InstrAccess::unpack(info).size_shift;
  out.type = static_cast<enum qemu_plugin_mem_value_type>(shift);
  const hindcast::u64 value = host_of(__func__).machine().accessed_value();
  std::memcpy(&out.data, &value, size_t{1} << std::min(shift, 3u));
  return out;
}

struct qemu_plugin_hwaddr* qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t, uint64_t vaddr) {
  static thread_local qemu_plugin_hwaddr result;
  PluginHost& host = host_of(__func__);
  if (describe_known(host.vcpu(), vaddr, result)) return &result;
  hindcast::GuestAddr physical = 0;
  if (!host.machine().arch().debug_translate(host.vcpu(), vaddr, &physical)) return nullptr;
  return describe(physical, result) ? &result : nullptr;
}
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr* haddr) {
  return haddr != nullptr && haddr->io;
}
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr* haddr) {
  return haddr != nullptr ? haddr->physical : 0;
}
const char* qemu_plugin_hwaddr_device_name(const struct qemu_plugin_hwaddr* haddr) {
  return haddr != nullptr ? haddr->name : nullptr;
}

const char* hindcast_hwaddr_register_name(const struct qemu_plugin_hwaddr* haddr) {
  if (haddr == nullptr || !haddr->io) return nullptr;
  PluginHost& host = host_of(__func__);
  const hindcast::RegisterNames* names = hindcast::RegisterNames::of(host.machine());
  const std::string name = names == nullptr ? "" : names->name_at(haddr->physical);
  return name.empty() ? nullptr : host.intern(name);
}

uint64_t hindcast_hwaddr_offset(const struct qemu_plugin_hwaddr* haddr) {
  return haddr != nullptr ? haddr->physical - haddr->base : 0;
}

// ---- registers ----

GArray* qemu_plugin_get_registers(void) {
  PluginHost& host = host_of(__func__);
  const Plugin* plugin = host.caller(__builtin_return_address(0));
  const bool old = plugin != nullptr && plugin->version() < 6;
  GArray* array = g_array_new(FALSE, TRUE, old ? sizeof(OldDescriptor) : sizeof(qemu_plugin_reg_descriptor));
  each_register(host, [&](const hindcast::RegisterRow& row, unsigned number) {
    auto* handle = reinterpret_cast<struct qemu_plugin_register*>(std::uintptr_t{number} + 1);
    if (old) {
      const OldDescriptor descriptor{handle, row.abi_name, row.gdb_feature};
      g_array_append_vals(array, &descriptor, 1);
    } else {
      qemu_plugin_reg_descriptor descriptor;
      std::memset(&descriptor, 0, sizeof descriptor);
      descriptor.handle = handle;
      descriptor.name = row.abi_name;
      descriptor.feature = row.gdb_feature;
      descriptor.is_readonly = row.zero || number == host.machine().arch().pc_register();
      g_array_append_vals(array, &descriptor, 1);
    }
  });
  return array;
}

/// Up to version 5 the number of bytes, or -1; from then on whether it worked. Hence not by its declaration.
int hindcast_read_register(struct qemu_plugin_register* handle,
                           GByteArray* buf) __asm__("qemu_plugin_read_register");
int hindcast_read_register(struct qemu_plugin_register* handle, GByteArray* buf) {
  const Plugin* plugin = host_of("").caller(__builtin_return_address(0));
  unsigned size = 0;
  const bool done = append_register(handle, buf, size);
  if (plugin != nullptr && plugin->version() >= 6) return done ? 1 : 0;
  return done ? static_cast<int>(size) : -1;
}

int hindcast_write_register(struct qemu_plugin_register* handle,
                            GByteArray* buf) __asm__("qemu_plugin_write_register");
int hindcast_write_register(struct qemu_plugin_register* handle, GByteArray* buf) {
  Plugin* plugin = host_of("").caller(__builtin_return_address(0));
  const bool done = change_register(plugin, handle, buf);
  if (plugin != nullptr && plugin->version() >= 6) return done ? 1 : 0;
  return done ? static_cast<int>(buf->len) : -1;
}

void qemu_plugin_set_pc(uint64_t vaddr) {
  PluginHost& host = host_of(__func__);
  const Plugin* plugin = host.caller(__builtin_return_address(0));
  if (!host.live())
    host.fail(plugin, "sets the program counter, which it may only in a live run; replay without the plugin");
  if (!host.may_set_pc())
    host.fail(
        plugin,
        "sets the program counter in a callback that was not registered with QEMU_PLUGIN_CB_RW_REGS_PC");
  host.set_pc(vaddr);
}

// ---- memory ----

bool qemu_plugin_read_memory_vaddr(uint64_t addr, GByteArray* data, size_t len) {
  if (data == nullptr || len == 0 || len > kLargestRead) return false;
  g_byte_array_set_size(data, static_cast<guint>(len));
  hindcast::u8* out = data->data;
  return each_piece(addr, len, [&](hindcast::GuestAddr physical, std::size_t n) {
    out += n;
    return read_physical(physical, out - n, n);
  });
}
enum qemu_plugin_hwaddr_operation_result qemu_plugin_read_memory_hwaddr(uint64_t addr, GByteArray* data,
                                                                        size_t len) {
  if (data == nullptr || len == 0 || len > kLargestRead) return QEMU_PLUGIN_HWADDR_OPERATION_ERROR;
  g_byte_array_set_size(data, static_cast<guint>(len));
  return read_physical(addr, data->data, len) ? QEMU_PLUGIN_HWADDR_OPERATION_OK : why_not(addr);
}
bool qemu_plugin_translate_vaddr(uint64_t vaddr, uint64_t* hwaddr) {
  PluginHost& host = host_of(__func__);
  hindcast::GuestAddr physical = 0;
  if (hwaddr == nullptr || !host.machine().arch().debug_translate(host.vcpu(), vaddr, &physical))
    return false;
  *hwaddr = physical;
  return true;
}
bool qemu_plugin_write_memory_vaddr(uint64_t addr, GByteArray* data) {
  PluginHost& host = host_of(__func__);
  if (!host.may_change(Permission::Memory, host.caller(__builtin_return_address(0)))) return false;
  if (data == nullptr || data->len == 0) return false;
  // All of it or nothing.
  std::vector<std::pair<hindcast::GuestAddr, std::size_t>> pieces;
  const bool there = each_piece(addr, data->len, [&](hindcast::GuestAddr physical, std::size_t n) {
    pieces.emplace_back(physical, n);
    return host.machine().memory().peek(physical, n) != nullptr;
  });
  if (!there) return false;
  hindcast::ByteView left(data->data, data->len);
  for (const auto& [physical, n] : pieces) {
    host.change().write_memory(physical, left.first(n));
    left = left.subspan(n);
  }
  return true;
}
enum qemu_plugin_hwaddr_operation_result qemu_plugin_write_memory_hwaddr(uint64_t addr, GByteArray* data) {
  PluginHost& host = host_of(__func__);
  if (!host.may_change(Permission::Memory, host.caller(__builtin_return_address(0))))
    return QEMU_PLUGIN_HWADDR_OPERATION_ACCESS_DENIED;
  if (data == nullptr || data->len == 0) return QEMU_PLUGIN_HWADDR_OPERATION_ERROR;
  if (host.machine().memory().peek(addr, data->len) == nullptr) return why_not(addr);
  host.change().write_memory(addr, {data->data, data->len});
  return QEMU_PLUGIN_HWADDR_OPERATION_OK;
}

// ---- time ----

static const char time_control = 0;

const void* qemu_plugin_request_time_control(void) {
  return host_of(__func__).take_time_control() ? &time_control : nullptr;
}
/// Virtual time is a function of the instruction count and of jumps, of which this makes one. Without effect
/// in a replay, whose jumps are the recorded ones, and backwards.
void qemu_plugin_update_ns(const void* handle, int64_t time) {
  PluginHost& host = host_of(__func__);
  Plugin* plugin = host.caller(__builtin_return_address(0));
  if (handle != &time_control)
    host.fail(plugin, "moves virtual time, which it does not hold (qemu_plugin_request_time_control)");
  if (!host.live() || time < 0 || static_cast<uint64_t>(time) <= host.machine().clock().now()) return;
  if (host.may_change(Permission::Memory, plugin)) host.change().move_time(static_cast<uint64_t>(time));
}

}  // extern "C"
