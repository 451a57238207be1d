// The instruction table itself: no two rows claim an encoding, every row decodes back, every CPU gets what it
// asked for.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cstring>

#include "targets/riscv/csr.h"
#include "targets/riscv/riscv.h"

namespace hindcast::riscv {
namespace {

/// A small generator of our own: the same sequence on every host.
class Random {
 public:
  u32 next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<u32>(state_ >> 16);
  }

 private:
  u64 state_ = 0x9e3779b97f4a7c15;
};

/// Whether some CPU has both rows.
bool coexist(const InsnRow& a, const InsnRow& b) {
  return (static_cast<u8>(a.xlen) & static_cast<u8>(b.xlen)) != 0;
}

TEST(Rows, OverlapOnlyWhereOneIsASpecialCaseOfTheOther) {
  const auto rows = all_rows();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = i + 1; j < rows.size(); ++j) {
      const InsnRow &a = *rows[i], &b = *rows[j];
      if (a.length != b.length || !coexist(a, b)) continue;
      const u32 both = a.mask & b.mask;
      if (((a.match ^ b.match) & both) != 0) continue;  // a fixed bit differs
      EXPECT_TRUE(a.mask != b.mask && (both == a.mask || both == b.mask)) << a.name << " and " << b.name;
    }
  }
}

TEST(Rows, LengthAgreesWithTheLowBits) {
  for (const InsnRow* row : all_rows()) {
    EXPECT_EQ(row->mask & 3, 3u) << row->name;
    EXPECT_EQ(row->length == 4, (row->match & 3) == 3) << row->name;
  }
}

/// Encodings of a row with random operands decode to that row, or to a more specific one.
TEST(Rows, DecodeBack) {
  Random random;
  for (const char* cpu : {"max32,h=on", "max,h=on"}) {
    const auto arch = make_riscv_arch(cpu);
    for (const InsnRow* row : all_rows()) {
      if (!arch->features().in(row->xlen)) continue;
      unsigned found = 0;
      for (unsigned i = 0; i < 500; ++i) {
        const u32 used = row->length == 2 ? 0xffff : 0xffff'ffff;
        const u32 bits = ((random.next() & ~row->mask) | row->match) & used;
        Operands operands;
        const InsnRow* decoded = arch->decode(bits, &operands);
        if (decoded == row) {
          ++found;
          EXPECT_EQ(operands.bits, bits);
          EXPECT_TRUE(row->allows(operands, arch->features()));
        } else if (decoded != nullptr) {
          EXPECT_EQ(decoded->mask & row->mask, row->mask) << decoded->name << " instead of " << row->name;
        } else {
          EXPECT_FALSE(row->allows(row->decode(bits), arch->features())) << row->name;
        }
      }
      EXPECT_GT(found, 80u) << row->name << " on " << cpu;
    }
  }
}

TEST(Rows, SwitchedOffExtensionsAreIllegal) {
  struct Off {
    const char *cpu, *row;
  };
  for (const Off& off : {Off{"rv64,m=off", "mul"},
                         Off{"rv64,a=off", "lr.w"},
                         Off{"rv64,f=off", "fadd.s"},
                         Off{"rv64,f=off", "fadd.d"},
                         Off{"rv64,d=off", "c.fld"},
                         Off{"rv64,c=off", "c.addi"},
                         Off{"rv64,zcb=off", "c.lbu"},
                         Off{"rv64,zba=off", "sh1add"},
                         Off{"rv64,zbb=off", "clz"},
                         Off{"rv64,zbc=off", "clmul"},
                         Off{"rv64,zbs=off", "bset"},
                         Off{"rv64,zfh=off", "fadd.h"},
                         Off{"rv64,zfhmin=off", "flh"},
                         Off{"rv64,zicond=off", "czero.eqz"},
                         Off{"rv64,zifencei=off", "fence.i"},
                         Off{"rv64,zawrs=off", "wrs.sto"},
                         Off{"rv64,zicbom=off", "cbo.clean"},
                         Off{"rv64,zicboz=off", "cbo.zero"},
                         Off{"rv64", "sinval.vma"},
                         Off{"rv64", "amocas.w"},
                         Off{"max,zacas=off", "amocas.b"},
                         Off{"rv64", "amoadd.b"}}) {
    const auto arch = make_riscv_arch(off.cpu), full = make_riscv_arch("max");
    bool known = false;
    for (const InsnRow* row : all_rows()) {
      if (std::strcmp(row->name, off.row) != 0) continue;
      known = true;
      const u32 bits = row->match | ((1u << 7 | 1u << 15) & ~row->mask);
      EXPECT_EQ(arch->decode(bits), nullptr) << off.cpu << " has " << off.row;
      EXPECT_EQ(full->decode(bits) != nullptr, full->features().in(row->xlen)) << off.row;
    }
    EXPECT_TRUE(known) << off.row;
  }
}

TEST(Rows, ImmediatesAreGatheredAsTheManualScattersThem) {
  const auto arch = make_riscv_arch("rv64");
  struct Case {
    u32 bits;
    i64 imm;
  };
  for (const Case& c : {Case{0x80000063, -4096}, Case{0x7e000fe3, 4094}, Case{0x8000006f, -1048576},
                        Case{0x7fffff6f, 1048574}, Case{0x80000023, -2048}, Case{0x800000b7, -2147483648ll},
                        Case{0xb001, -2048}, Case{0xaffd, 2046}, Case{0xd001, -256}, Case{0x7101, -512}}) {
    Operands o;
    const InsnRow* row = arch->decode(c.bits, &o);
    ASSERT_NE(row, nullptr) << fmt::format("{:#x}", c.bits);
    EXPECT_EQ(o.imm, c.imm) << row->name;
  }
}

TEST(Rows, ClassesAndNamesAreThere) {
  const auto arch = make_riscv_arch("rv64");
  const u8 add[] = {0x33, 0x85, 0xc5, 0x00}, load[] = {0x08, 0x41}, none[] = {0, 0};
  EXPECT_STREQ(arch->insn_class(add), "Arithmetic");
  EXPECT_STREQ(arch->insn_class(load), "Load");
  EXPECT_STREQ(arch->insn_class(none), "Illegal");
  EXPECT_STREQ(arch->insn_class(ByteView(add, 2)), "Illegal");  // cut short
}

// ---- CPU texts

TEST(Cpu, DescriptionNamesWhatDiffersFromTheModel) {
  EXPECT_EQ(parse_cpu("", 64).description(), "rv64");
  EXPECT_EQ(parse_cpu("", 32).description(), "rv32");
  EXPECT_EQ(parse_cpu("rv64,zk=on,zkt=off", 0).description(),
            parse_cpu("rv64,zkn=on,zkr=on", 0).description());
  EXPECT_EQ(parse_cpu("rv64,zbb=off,zbkb=on", 0).description(), "rv64,zbb=off,zbkb=on");
  EXPECT_EQ(parse_cpu("max", 32).extensions, parse_cpu("max32", 0).extensions);
  EXPECT_TRUE(parse_cpu("max", 0).has(riscv::ext::Svpbmt | riscv::ext::Sstc));
  EXPECT_EQ(parse_cpu("max", 0).description(), parse_cpu(parse_cpu("max", 0).description(), 0).description());
  EXPECT_EQ(parse_cpu("d=off", 32).description(), "rv32,d=off");
  EXPECT_EQ(parse_cpu("rv64,zbs=off,m=off", 0).description(), "rv64,m=off,zbs=off");
  // What builds on a feature goes with it.
  EXPECT_EQ(parse_cpu("rv64,f=off", 0).description(), "rv64,f=off,d=off,zfhmin=off,zfh=off");
  EXPECT_EQ(parse_cpu(parse_cpu("rv64,f=off", 0).description(), 0).extensions,
            parse_cpu("rv64,f=off", 0).extensions);
}

TEST(Cpu, MistakesAreNamed) {
  const auto message = [](const char* text, unsigned xlen) -> std::string {
    try {
      parse_cpu(text, xlen);
    } catch (const Fatal& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_NE(message("rv128", 0).find("known are rv32, rv64, max and max32"), std::string::npos);
  EXPECT_NE(message("rv32,svnapot=on", 0).find("svnapot=on needs rv64"), std::string::npos);
  EXPECT_NE(message("rv64,zzz=on", 0).find("known are e, m, a"), std::string::npos);
  EXPECT_NE(message("rv64,m=maybe", 0).find("m=on or m=off"), std::string::npos);
  EXPECT_NE(message("rv64,m", 0).find("m=on or m=off"), std::string::npos);
  EXPECT_NE(message("rv64,f=off,d=on", 0).find("d=on needs f=on"), std::string::npos);
  EXPECT_NE(message("rv32", 64).find("64-bit image"), std::string::npos);
  EXPECT_EQ(message("rv64,zfh=off,zfh=on", 64), "accepted");
}

// ---- registers

TEST(Registers, RowsAreWhatGdbExpects) {
  for (const char* cpu : {"rv32", "rv64", "rv32,e=on", "rv64,f=off"}) {
    const auto arch = make_riscv_arch(cpu);
    const auto rows = arch->registers();
    std::vector<bool> pins(64, false);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const RegisterRow& row = rows[i];
      EXPECT_TRUE(row.offset + ir::bits_of(row.type) / 8 <= sizeof(RiscvState) || row.offset == 0xffff)
          << row.name;
      if (std::string_view(row.group) == "general" && row.pin_order != 0) {
        EXPECT_FALSE(pins[row.pin_order]) << row.name;
        pins[row.pin_order] = true;
      }
    }
    EXPECT_TRUE(rows[0].zero);
    EXPECT_STREQ(rows[10].abi_name, "a0");
    EXPECT_EQ(rows[arch->pc_register()].gdb_number, 32);
    EXPECT_EQ(rows[15].pin_order, 1);
    EXPECT_EQ(rows[20].gdb_feature == nullptr, arch->features().has(ext::E));
    if (arch->features().has(ext::F)) {
      EXPECT_EQ(rows[arch->f_row(0)].gdb_number, 33);
      EXPECT_STREQ(rows[arch->f_row(10)].abi_name, "fa0");
    }
    EXPECT_STREQ(rows[arch->mstatus_row()].name, "mstatus");
    EXPECT_EQ(rows[arch->mstatus_row()].gdb_number, 65 + 0x300);
  }
}

}  // namespace
}  // namespace hindcast::riscv
