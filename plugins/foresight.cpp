#include "plugins/foresight.h"

#include <capstone/capstone.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace hindcast::plugins {

namespace {

constexpr std::size_t kLongestInsn = 15;
constexpr std::array<u8, 4> kEndbr64 = {0xf3, 0x0f, 0x1e, 0xfa};

/// A general register's number and size, as encodings count them.
bool general_register(unsigned reg, i8& number, u8& size) {
  static constexpr unsigned k64[] = {
      X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RBX, X86_REG_RSP, X86_REG_RBP, X86_REG_RSI, X86_REG_RDI,
      X86_REG_R8,  X86_REG_R9,  X86_REG_R10, X86_REG_R11, X86_REG_R12, X86_REG_R13, X86_REG_R14, X86_REG_R15};
  static constexpr unsigned k32[] = {X86_REG_EAX,  X86_REG_ECX,  X86_REG_EDX,  X86_REG_EBX,
                                     X86_REG_ESP,  X86_REG_EBP,  X86_REG_ESI,  X86_REG_EDI,
                                     X86_REG_R8D,  X86_REG_R9D,  X86_REG_R10D, X86_REG_R11D,
                                     X86_REG_R12D, X86_REG_R13D, X86_REG_R14D, X86_REG_R15D};
  static constexpr unsigned k8[] = {X86_REG_AL,   X86_REG_CL,   X86_REG_DL,   X86_REG_BL,
                                    X86_REG_SPL,  X86_REG_BPL,  X86_REG_SIL,  X86_REG_DIL,
                                    X86_REG_R8B,  X86_REG_R9B,  X86_REG_R10B, X86_REG_R11B,
                                    X86_REG_R12B, X86_REG_R13B, X86_REG_R14B, X86_REG_R15B};
  for (i8 k = 0; k < 16; ++k) {
    const unsigned at = static_cast<unsigned>(k);
    if (reg != k64[at] && reg != k32[at] && reg != k8[at]) continue;
    number = k;
    size = reg == k64[at] ? 8 : reg == k32[at] ? 4 : 1;
    return true;
  }
  return false;
}

bool read_operand(const cs_x86_op& from, u64 next, Foresight::Operand& out) {
  using Kind = Foresight::Operand::Kind;
  out.size = from.size;
  u8 size = 0;
  switch (from.type) {
    case X86_OP_REG: out.kind = Kind::Register; return general_register(from.reg, out.reg, size);
    case X86_OP_IMM:
      out.kind = Kind::Immediate;
      out.value = from.imm;
      return true;
    case X86_OP_MEM:
      out.kind = Kind::Memory;
      out.value = from.mem.disp;
      out.scale = static_cast<u8>(from.mem.scale);
      if (from.mem.segment != X86_REG_INVALID) return false;
      if (from.mem.base == X86_REG_RIP)
        out.value += static_cast<i64>(next);
      else if (from.mem.base != X86_REG_INVALID &&
               (!general_register(from.mem.base, out.base, size) || size != 8))
        return false;
      return from.mem.index == X86_REG_INVALID ||
             (general_register(from.mem.index, out.index, size) && size == 8);
    default: return false;
  }
}

}  // namespace

Foresight::Foresight(std::function<bool(const void*)> is_code, Interface interface)
    : is_code_(std::move(is_code)), interface_(std::move(interface)) {
  if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone_) != CS_ERR_OK)
    capstone_ = 0;
  else
    cs_option(capstone_, CS_OPT_DETAIL, CS_OPT_ON);
}

Foresight::~Foresight() {
  if (capstone_ != 0) cs_close(&capstone_);
}

const Foresight::Known* Foresight::known(u64 at) const {
  const auto it = interface_.find(reinterpret_cast<const void*>(at));
  return it == interface_.end() ? nullptr : &it->second;
}

const Foresight::Step& Foresight::step(u64 at) {
  const auto [it, inserted] = steps_.try_emplace(at);
  Step& out = it->second;
  if (!inserted || capstone_ == 0) return out;
  const u8* code = reinterpret_cast<const u8*>(at);
  // All of the longest instruction, or as much as there is.
  std::size_t size = 0;
  while (size < kLongestInsn && is_code_(code + size)) ++size;
  if (size >= kEndbr64.size() && std::memcmp(code, kEndbr64.data(), kEndbr64.size()) == 0) {
    out.id = X86_INS_NOP;
    out.length = kEndbr64.size();
    return out;
  }
  cs_insn* insn = cs_malloc(capstone_);
  u64 address = at;
  if (cs_disasm_iter(capstone_, &code, &size, &address, insn)) {
    const cs_x86& x86 = insn->detail->x86;
    const bool locked = x86.prefix[0] == X86_PREFIX_LOCK || x86.prefix[0] == X86_PREFIX_REP;
    bool understood = insn->id == X86_INS_NOP || insn->id == X86_INS_RET ||
                      (!locked && x86.op_count <= out.operands.size());
    for (u8 k = 0; understood && insn->id != X86_INS_NOP && k < x86.op_count; ++k)
      understood = read_operand(x86.operands[k], address, out.operands[k]);
    out.length = static_cast<u8>(insn->size);
    if (understood) out.id = insn->id;
  }
  cs_free(insn, 1);
  return out;
}

/// What loaded objects have in segments without write permission, or that is to be read only once it has been
/// relocated.
int Foresight::add_constants(dl_phdr_info* object, std::size_t, void* to) {
  auto& constants = *static_cast<std::vector<Range>*>(to);
  for (unsigned k = 0; k < object->dlpi_phnum; ++k) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[k];
    const u64 begin = object->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_GNU_RELRO || (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) == 0))
      constants.push_back({begin, begin + segment.p_memsz, Memory::Constant});
  }
  return 0;
}

void Foresight::read_maps() {
  maps_.clear();
  constants_.clear();
  dl_iterate_phdr(add_constants, &constants_);
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/proc/self/maps", "re"), std::fclose);
  if (!file) return;
  char line[512];
  while (std::fgets(line, sizeof line, file.get()) != nullptr) {
    unsigned long long begin = 0, end = 0;
    char access[8] = {};
    // What is shared with another process may change at any time.
    if (std::sscanf(line, "%llx-%llx %7s", &begin, &end, access) == 3 && access[0] == 'r' && access[3] == 'p')
      maps_.push_back({begin, end, access[1] == 'w' ? Memory::Variable : Memory::Fixed});
  }
}

const Foresight::Range* Foresight::find(const std::vector<Range>& ranges, u64 at, unsigned size) {
  for (const Range& range : ranges)
    if (at >= range.begin && at < range.end && size <= range.end - at) return &range;
  return nullptr;
}

/// maps_ is as it was when it was read: whether anything is there still.
bool Foresight::still_mapped(u64 at, unsigned size) {
  static const u64 page = static_cast<u64>(::sysconf(_SC_PAGESIZE));
  const u64 begin = at & ~(page - 1);
  unsigned char resident[2];
  return ::mincore(reinterpret_cast<void*>(begin), at + size - begin, resident) == 0 || errno != ENOMEM;
}

Foresight::Memory Foresight::memory(u64 at, unsigned size) {
  const Range* range = find(maps_, at, size);
  if (range == nullptr || !still_mapped(at, size)) {
    read_maps();
    range = find(maps_, at, size);
  }
  if (range == nullptr) return Memory::None;
  const bool constant = range->memory == Memory::Fixed && find(constants_, at, size) != nullptr;
  return constant ? Memory::Constant : range->memory;
}

}  // namespace hindcast::plugins
