#!/usr/bin/env python3
"""Writes riscv.ins and riscv_zk.ins: encodings from the GNU assembler, expected results from QEMU's user mode.

Needs riscv64-unknown-elf-gcc, qemu-riscv64 and qemu-riscv32. Run it again after adding a line to the tables below;
cases that QEMU or the assembler do not know are written by hand in the other files of this folder.
"""
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

DATA = 0x20000000
M64 = (1 << 64) - 1

INT_PAIRS = [(5, 3), (0x80000000, 0xFFFFFFFFFFFFFFFF), (0x8000000000000000, 0xFFFFFFFFFFFFFFFF),
             (0x0123456789ABCDEF, 0x00000000FFFFFFE7), (7, 0)]
INT_ONES = [0, 1, 0xFFFFFFFFFFFFFFFF, 0x8000000000000000, 0x00F0000080000100, 0x123456789ABCDEF0]
BOX = 0xFFFFFFFF00000000
HBOX = 0xFFFFFFFFFFFF0000


def single(f):
    return BOX | struct.unpack("<I", struct.pack("<f", f))[0]


def double(f):
    return struct.unpack("<Q", struct.pack("<d", f))[0]


def half(f):
    return HBOX | struct.unpack("<H", struct.pack("<e", f))[0]


F = {
    "s": [single(1.5), single(-0.1), BOX | 0x7F7FFFFF, BOX | 1, BOX | 0x7FA00000, 0x3F800000, BOX | 0x7F800000,
          BOX | 0x80000000],
    "d": [double(1.5), double(-0.1), 0x7FEFFFFFFFFFFFFF, 1, 0x7FF4000000000000, double(3e9), 0x7FF0000000000000,
          1 << 63],
    "h": [half(1.5), half(-0.1), HBOX | 0x7BFF, HBOX | 1, HBOX | 0x7D00, 0x3C00, HBOX | 0x7C00, HBOX | 0x8000],
}
PAIRS = [(0, 1), (2, 0), (3, 1), (4, 0), (5, 1), (6, 6), (7, 0), (2, 2)]


def cases(xlen):
    """(assembly, text or None if the same, inputs, outputs, whether fflags count)."""
    out = []

    def add(asm, inputs, outputs, text=None, flags=False):
        out.append((asm, text or asm, inputs, outputs, flags))

    rv64 = xlen == 64
    # I, M, Zba, Zbb, Zbc, Zbs: register-register.
    rr = "add sub sll slt sltu xor srl sra or and mul mulh mulhsu mulhu div divu rem remu sh1add sh2add sh3add " \
         "andn orn xnor max maxu min minu rol ror clmul clmulh clmulr bclr bext binv bset"
    rr64 = "addw subw sllw srlw sraw mulw divw divuw remw remuw add.uw sh1add.uw sh2add.uw sh3add.uw rolw rorw"
    for op in (rr + " " + (rr64 if rv64 else "")).split():
        for a, b in INT_PAIRS:
            add(f"{op} a0,a1,a2", {"a1": a, "a2": b}, ["a0"])
    add("add zero,a1,a2", {"a1": 1, "a2": 2}, [])
    add("sub a1,a1,a1", {"a1": 77}, ["a1"])
    # Register-immediate.
    for op in "addi slti sltiu xori ori andi".split() + (["addiw"] if rv64 else []):
        for a, i in [(5, -3), (0x7FFFFFFF, 2047), (0xFFFFFFFFFFFFFFFF, -2048)]:
            add(f"{op} a0,a1,{i}", {"a1": a}, ["a0"])
    for op in "slli srli srai rori bclri bexti binvi bseti".split():
        for a, i in [(0x8123456789ABCDEF, 1), (0x8123456789ABCDEF, 31)] + ([(0x8123456789ABCDEF, 63)] if rv64 else []):
            add(f"{op} a0,a1,{i:#x}", {"a1": a}, ["a0"])
    if rv64:
        for op in "slliw srliw sraiw roriw".split():
            add(f"{op} a0,a1,0x7", {"a1": 0xFFFFFFFF89ABCDEF}, ["a0"])
            add(f"{op} a0,a1,0x1f", {"a1": 0x1234567889ABCDEF}, ["a0"])
        add("slli.uw a0,a1,0x3f", {"a1": 0xFFFFFFFF89ABCDEF}, ["a0"])
        add("slli.uw a0,a1,0x4", {"a1": 0xFFFFFFFF89ABCDEF}, ["a0"])
    add("lui a0,0xfffff", {}, ["a0"])
    add("lui a0,0x12345", {}, ["a0"])
    # One operand.
    for op in "clz ctz cpop sext.b sext.h zext.h orc.b rev8".split() + ("clzw ctzw cpopw".split() if rv64 else []):
        for a in INT_ONES:
            if op == "ctzw" and a & 0xFFFFFFFF == 0:
                continue  # QEMU before 8.0 counts on into the upper half
            add(f"{op} a0,a1", {"a1": a}, ["a0"])
    # Loads and stores.
    for op in "lb lh lw lbu lhu".split() + (["ld", "lwu"] if rv64 else []):
        add(f"{op} a0,8(a1)", {"a1": DATA, f"m64:{DATA + 8:#x}": 0xF1F2F3F4F5F6F7F8}, ["a0"])
        add(f"{op} a0,-3(a1)", {"a1": DATA + 0x104, f"m64:{DATA + 0x100:#x}": 0x1122334455667788}, ["a0"])
    for op in "sb sh sw".split() + (["sd"] if rv64 else []):
        add(f"{op} a2,8(a1)", {"a1": DATA, "a2": 0x8877665544332211}, [f"m64:{DATA + 8:#x}"])
        add(f"{op} a2,-3(a1)", {"a1": DATA + 0x104, "a2": 0x8877665544332211},
            [f"m64:{DATA + 0x100:#x}"])
    # A.
    for w in ["w"] + (["d"] if rv64 else []):
        for op in "amoswap amoadd amoxor amoand amoor amomin amomax amominu amomaxu".split():
            for suffix, a, b in [("", 0x80000000FFFFFFFF, 1), (".aqrl", 0x7FFFFFFF80000001, 0xFFFFFFFFFFFFFFFE)]:
                add(f"{op}.{w}{suffix} a0,a2,(a1)", {"a1": DATA + 8, "a2": b, f"m64:{DATA + 8:#x}": a},
                    ["a0", f"m64:{DATA + 8:#x}"])
        add(f"lr.{w}.aq a0,(a1)", {"a1": DATA + 8, f"m64:{DATA + 8:#x}": 0x80000000F0000000}, ["a0"])
        add(f"sc.{w} a0,a2,(a1)", {"a1": DATA + 8, "a2": 9}, ["a0", f"m64:{DATA + 8:#x}"])
    # C.
    c = [("c.addi4spn a0,sp,16", "addi a0,sp,16", {"sp": DATA}, ["a0"]),
         ("c.lw a0,4(a1)", "lw a0,4(a1)", {"a1": DATA, f"m64:{DATA:#x}": 0x8000000112345678}, ["a0"]),
         ("c.sw a0,64(a1)", "sw a0,64(a1)", {"a1": DATA, "a0": 0x89ABCDEF}, [f"m64:{DATA + 64:#x}"]),
         ("c.nop", "nop", {}, []),
         ("c.addi a0,-3", "addi a0,a0,-3", {"a0": 1}, ["a0"]),
         ("c.li a0,-32", "li a0,-32", {}, ["a0"]),
         ("c.addi16sp sp,-64", "addi sp,sp,-64", {"sp": DATA + 0x400}, ["sp"]),
         ("c.lui a0,0x1f", "lui a0,0x1f", {}, ["a0"]),
         ("c.lui a0,0xfffe1", "lui a0,0xfffe1", {}, ["a0"]),
         ("c.srli a0,3", "srli a0,a0,0x3", {"a0": M64 - 6}, ["a0"]),
         ("c.srai a0,3", "srai a0,a0,0x3", {"a0": M64 - 6}, ["a0"]),
         ("c.andi a0,-4", "andi a0,a0,-4", {"a0": 0x1237}, ["a0"]),
         ("c.sub a0,a1", "sub a0,a0,a1", {"a0": 1, "a1": 3}, ["a0"]),
         ("c.xor a0,a1", "xor a0,a0,a1", {"a0": 0xF0, "a1": 0x3C}, ["a0"]),
         ("c.or a0,a1", "or a0,a0,a1", {"a0": 0xF0, "a1": 0x3C}, ["a0"]),
         ("c.and a0,a1", "and a0,a0,a1", {"a0": 0xF0, "a1": 0x3C}, ["a0"]),
         ("c.slli s3,5", "slli s3,s3,0x5", {"s3": 0x89ABCDEF01234567}, ["s3"]),
         ("c.lwsp s3,12(sp)", "lw s3,12(sp)", {"sp": DATA, f"m64:{DATA + 8:#x}": 0x8000000112345678}, ["s3"]),
         ("c.mv s3,s4", "mv s3,s4", {"s4": 42}, ["s3"]),
         ("c.add s3,s4", "add s3,s3,s4", {"s3": M64, "s4": 43}, ["s3"]),
         ("c.swsp s3,252(sp)", "sw s3,252(sp)", {"sp": DATA, "s3": 0xFEDCBA98}, [f"m64:{DATA + 248:#x}"])]
    if rv64:
        c += [("c.ld a0,8(a1)", "ld a0,8(a1)", {"a1": DATA, f"m64:{DATA + 8:#x}": 0x8000000112345678}, ["a0"]),
              ("c.sd a0,248(a1)", "sd a0,248(a1)", {"a1": DATA, "a0": 0x89ABCDEF01234567}, [f"m64:{DATA + 248:#x}"]),
              ("c.addiw a0,-1", "addiw a0,a0,-1", {"a0": 0x80000000}, ["a0"]),
              ("c.addiw a0,0", "sext.w a0,a0", {"a0": 0x80000000}, ["a0"]),
              ("c.subw a0,a1", "subw a0,a0,a1", {"a0": 0x80000000, "a1": 1}, ["a0"]),
              ("c.addw a0,a1", "addw a0,a0,a1", {"a0": 0x7FFFFFFF, "a1": 1}, ["a0"]),
              ("c.slli s3,40", "slli s3,s3,0x28", {"s3": 0x89ABCDEF01234567}, ["s3"]),
              ("c.ldsp s3,264(sp)", "ld s3,264(sp)", {"sp": DATA, f"m64:{DATA + 264:#x}": 0x8000000112345678}, ["s3"]),
              ("c.sdsp s3,504(sp)", "sd s3,504(sp)", {"sp": DATA, "s3": 0xFEDCBA9876543210}, [f"m64:{DATA + 504:#x}"])]
    else:
        c += [("c.flw fa0,4(a1)", "flw fa0,4(a1)", {"a1": DATA, f"m64:{DATA:#x}": 0x3F80000012345678}, ["fa0"]),
              ("c.fsw fa0,4(a1)", "fsw fa0,4(a1)", {"a1": DATA, "fa0": single(2.5)}, [f"m64:{DATA:#x}"]),
              ("c.flwsp fs3,4(sp)", "flw fs3,4(sp)", {"sp": DATA, f"m64:{DATA:#x}": 0x3F80000012345678}, ["fs3"]),
              ("c.fswsp fs3,4(sp)", "fsw fs3,4(sp)", {"sp": DATA, "fs3": single(2.5)}, [f"m64:{DATA:#x}"])]
    c += [("c.fld fa0,8(a1)", "fld fa0,8(a1)", {"a1": DATA, f"m64:{DATA + 8:#x}": double(2.5)}, ["fa0"]),
          ("c.fsd fa0,8(a1)", "fsd fa0,8(a1)", {"a1": DATA, "fa0": double(2.5)}, [f"m64:{DATA + 8:#x}"]),
          ("c.fldsp fs3,8(sp)", "fld fs3,8(sp)", {"sp": DATA, f"m64:{DATA + 8:#x}": double(2.5)}, ["fs3"]),
          ("c.fsdsp fs3,8(sp)", "fsd fs3,8(sp)", {"sp": DATA, "fs3": double(2.5)}, [f"m64:{DATA + 8:#x}"])]
    for asm, text, inputs, outputs in c:
        add(asm, inputs, outputs, text)
    # F, D, Zfh.
    for fmt, mem, n in (("s", "w", 4), ("d", "d", 8), ("h", "h", 2)):
        v = F[fmt]
        add(f"fl{mem} fa0,8(a1)", {"a1": DATA, f"m64:{DATA + 8:#x}": 0xC123456789ABBDEF}, ["fa0"])
        add(f"fs{mem} fa1,8(a2)", {"a2": DATA, "fa1": 0x1122334455667788}, [f"m64:{DATA + 8:#x}"])
        for op in "fadd fsub fmul fdiv".split():
            for i, j in PAIRS:
                add(f"{op}.{fmt} fa0,fa1,fa2", {"fa1": v[i], "fa2": v[j]}, ["fa0"], flags=True)
            add(f"{op}.{fmt} fa0,fa1,fa2,rup", {"fa1": v[0], "fa2": v[1]}, ["fa0"], flags=True)
            add(f"{op}.{fmt} fa0,fa1,fa2", {"fa1": v[0], "fa2": v[1], "frm": 1}, ["fa0"], flags=True)
        for op in "fmin fmax fsgnj fsgnjn fsgnjx".split():
            for i, j in PAIRS[:6]:
                add(f"{op}.{fmt} fa0,fa1,fa2", {"fa1": v[i], "fa2": v[j]}, ["fa0"], flags=True)
        add(f"fmv.{fmt} fa0,fa1", {"fa1": v[5]}, ["fa0"], flags=True)
        add(f"fneg.{fmt} fa0,fa1", {"fa1": v[1]}, ["fa0"], flags=True)
        add(f"fabs.{fmt} fa0,fa1", {"fa1": v[1]}, ["fa0"], flags=True)
        for op in "feq flt fle".split():
            for i, j in PAIRS:
                add(f"{op}.{fmt} a0,fa1,fa2", {"fa1": v[i], "fa2": v[j]}, ["a0"], flags=True)
        for i in range(len(v)):
            add(f"fclass.{fmt} a0,fa1", {"fa1": v[i]}, ["a0"], flags=True)
            add(f"fsqrt.{fmt} fa0,fa1", {"fa1": v[i]}, ["fa0"], flags=True)
        for op in "fmadd fmsub fnmsub fnmadd".split():
            for i, j, k in [(0, 1, 2), (2, 0, 2), (3, 1, 1), (4, 0, 0), (6, 7, 0)]:
                add(f"{op}.{fmt} fa0,fa1,fa2,fa3", {"fa1": v[i], "fa2": v[j], "fa3": v[k]}, ["fa0"], flags=True)
            add(f"{op}.{fmt} fa0,fa1,fa2,fa3,rdn", {"fa1": v[0], "fa2": v[1], "fa3": v[0]}, ["fa0"], flags=True)
        for ity in "w wu".split() + ("l lu".split() if rv64 else []):
            for i in range(len(v)):
                add(f"fcvt.{ity}.{fmt} a0,fa1", {"fa1": v[i]}, ["a0"], flags=True)
            add(f"fcvt.{ity}.{fmt} a0,fa1,rtz", {"fa1": v[0]}, ["a0"], flags=True)
            exact = fmt == "d" and ity in ("w", "wu")
            for a in [0, M64, 0x8000000080000001, 0x7FFFFFFFFFFFFFFF]:
                add(f"fcvt.{fmt}.{ity} fa0,a1", {"a1": a}, ["fa0"], flags=True)
            if not exact:
                add(f"fcvt.{fmt}.{ity} fa0,a1,rdn", {"a1": 0x3FFFFFFF}, ["fa0"], flags=True)
        moves = {"s": ["fmv.x.w a0,fa1", "fmv.w.x fa0,a1"], "h": ["fmv.x.h a0,fa1", "fmv.h.x fa0,a1"],
                 "d": ["fmv.x.d a0,fa1", "fmv.d.x fa0,a1"] if rv64 else []}[fmt]
        for m in moves:
            add(m, {"fa1": 0x12345678F1F2F3F4, "a1": 0x12345678F1F2F3F4}, [m.split()[1].split(",")[0]])
    for to, fr in ["sd", "ds", "sh", "hs", "dh", "hd"]:
        for i in range(8):
            add(f"fcvt.{to}.{fr} fa0,fa1", {"fa1": F[fr][i]}, ["fa0"], flags=True)
    return out


def crypto_cases(xlen):
    """The same for scalar cryptography, which has a file of its own."""
    out = []

    def add(asm, inputs, outputs):
        out.append((asm, asm, inputs, outputs, False))

    rv64 = xlen == 64
    pairs = INT_PAIRS + [(0x0F1E2D3C4B5A6978, 0x8796A5B4C3D2E1F0), (0xFEDCBA9876543210, 0x0123456789ABCDEF)]
    two = "pack packh xperm4 xperm8"
    one = "brev8 sha256sig0 sha256sig1 sha256sum0 sha256sum1 sm3p0 sm3p1"
    by_byte = "sm4ed sm4ks"
    if rv64:
        two += " packw aes64ds aes64dsm aes64es aes64esm aes64ks2"
        one += " aes64im sha512sig0 sha512sig1 sha512sum0 sha512sum1"
        for i in range(11):
            add(f"aes64ks1i a0,a1,{i:#x}", {"a1": 0x0123456789ABCDEF + (i << 40)}, ["a0"])
    else:
        two += " sha512sig0h sha512sig0l sha512sig1h sha512sig1l sha512sum0r sha512sum1r"
        one += " zip unzip"
        by_byte += " aes32dsi aes32dsmi aes32esi aes32esmi"
    for op in two.split():
        for a, b in pairs:
            add(f"{op} a0,a1,a2", {"a1": a, "a2": b}, ["a0"])
    for op in one.split():
        for a in INT_ONES:
            add(f"{op} a0,a1", {"a1": a}, ["a0"])
    for op in by_byte.split():
        for i in range(4):
            for a, b in pairs[3:]:
                add(f"{op} a0,a1,a2,{i:#x}", {"a1": a, "a2": b}, ["a0"])
    return out


INT_EDGES = [0, 1, 2, 3, 7, 31, 32, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
             0x100000000, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, M64, M64 - 1, 0x5555555555555555]


def random_float(rng, fmt):
    """Edge patterns, random ones, and small numbers whose sums and products are inexact or cancel."""
    width, exponent = {"s": (32, 8), "d": (64, 11), "h": (16, 5)}[fmt]
    fraction = width - 1 - exponent
    sign = rng.getrandbits(1) << (width - 1)
    kind = rng.randrange(8)
    if kind == 0:
        bits = rng.choice([0, 1, (1 << fraction) - 1, 1 << fraction, ((1 << exponent) - 1) << fraction,
                           (((1 << exponent) - 1) << fraction) - 1, (((1 << exponent) - 1) << fraction) | 1,
                           ((1 << (exponent + 1)) - 1) << (fraction - 1)])
    elif kind <= 2:
        bits = rng.getrandbits(width - 1)
    elif kind == 3:
        bits = rng.getrandbits(fraction)
    else:
        bias = (1 << (exponent - 1)) - 1
        top = rng.choice([bias, bias + 1, bias + 2, bias - 1, bias + fraction, bias + fraction + 1, bias + 31, bias + 63])
        mask = rng.choice([(1 << fraction) - 1, 1 << (fraction - 1), 3, (1 << fraction) - 4])
        bits = (min(top, (1 << exponent) - 2) << fraction) | (rng.getrandbits(fraction) & mask)
    bits |= sign
    if width < 64 and rng.randrange(20):
        bits |= M64 << width & M64  # else not boxed
    return bits


def randomized(table, rng, count):
    """Each distinct instruction `count` times with random operands, in random rounding modes."""
    out, seen = [], set()
    for asm, text, inputs, outputs, flags in table:
        if asm in seen or asm.startswith("ctzw"):
            continue
        seen.add(asm)
        source = asm.split()[0].split(".")[-1] if flags else "d"
        for _ in range(count):
            given = {}
            for place, value in inputs.items():
                if place.startswith("f") and place != "frm":
                    value = random_float(rng, source if source in "sdh" else rng.choice("sdh"))
                elif value & ~0xFFFF != DATA and not place.startswith("frm"):
                    value = rng.choice([rng.choice(INT_EDGES), rng.getrandbits(64), rng.getrandbits(rng.randrange(1, 65)),
                                        M64 ^ rng.getrandbits(rng.randrange(1, 65))])
                given[place] = value
            if flags and "rm" not in inputs:
                given["frm"] = rng.randrange(5)
            out.append((asm, text, given, outputs, flags))
    return out


def program(xlen, table):
    store, size = ("sd", 8) if xlen == 64 else ("sw", 4)
    lines = [".option norelax", ".globl _start", "_start:", "la gp,results"]
    slots = 0
    for n, (asm, _, inputs, outputs, flags) in enumerate(table):
        lines.append(".option norvc")
        lines.append("fscsr zero")
        for place, value in sorted(inputs.items(), key=lambda kv: not kv[0].startswith("m")):
            if place.startswith("m64:"):
                lines += [f"li t0,{place[4:]}", f"li t1,{value & 0xFFFFFFFF}", "sw t1,0(t0)",
                          f"li t1,{value >> 32}", "sw t1,4(t0)"]
            elif place.startswith("f") and place != "frm":
                lines += ["la t0,number", f"li t1,{value & 0xFFFFFFFF}", "sw t1,0(t0)", f"li t1,{value >> 32}",
                          "sw t1,4(t0)", f"fld {place},0(t0)"]
            elif place == "frm":
                lines += [f"li t0,{value}", "fsrm t0"]
            else:
                lines.append(f"li {place},{value & ((1 << xlen) - 1)}")
        lines.append(".option rvc" if asm.startswith("c.") else ".option norvc")
        lines += [f"insn{n}: {asm}", f"end{n}:", ".option norvc"]
        for place in outputs:
            if place.startswith("m64:"):
                lines += [f"li t0,{place[4:]}", "lw t1,0(t0)", "sw t1,0(gp)", "lw t1,4(t0)", "sw t1,4(gp)",
                          "sw zero,0(t0)", "sw zero,4(t0)"]
            elif place.startswith("f"):
                lines.append(f"fsd {place},0(gp)")
            else:
                lines += [f"{store} {place},0(gp)"]
            lines.append("addi gp,gp,8")
        if flags:
            lines += ["frflags t0", "sw t0,0(gp)", "addi gp,gp,8"]
        # Memory that was only an input is cleaned up, so that cases do not depend on each other.
        for place in inputs:
            if place.startswith("m64:") and place not in outputs:
                lines += [f"li t0,{place[4:]}", "sw zero,0(t0)", "sw zero,4(t0)"]
        slots += len(outputs) + flags
    lines += ["li a0,1", "la a1,results", f"li a2,{slots * 8}", "li a7,64", "ecall", "li a0,0", "li a7,93", "ecall",
              '.section .scratch,"aw",@progbits', ".zero 0x10000", ".bss", ".balign 16", "number: .zero 16",
              f"results: .zero {slots * 8 + 8}"]
    return "\n".join(lines) + "\n"


def run(xlen, work, table, names):
    source = work / f"cases{xlen}.s"
    image = work / f"cases{xlen}"
    source.write_text(program(xlen, table))
    isa = f"rv{xlen}gc_zba_zbb_zbc_zbs_zfh_zk_zks"
    subprocess.run(["riscv64-unknown-elf-gcc", f"-march={isa}", f"-mabi={'lp64d' if xlen == 64 else 'ilp32d'}",
                    "-nostdlib", "-static", f"-Wl,--section-start=.scratch={DATA:#x}", "-o", image, source], check=True)
    cpu = f"rv{xlen},zba=true,zbb=true,zbc=true,zbs=true,Zfh=true,zk=true,zks=true"
    results = subprocess.run([f"qemu-riscv{xlen}", "-cpu", cpu, image], check=True, stdout=subprocess.PIPE).stdout
    symbols = {m[1]: int(m[0], 16) for m in
               (line.split()[0::2] for line in subprocess.run(["riscv64-unknown-elf-nm", image], check=True, text=True,
                                                              stdout=subprocess.PIPE).stdout.splitlines())}
    raw = work / f"text{xlen}"
    subprocess.run(["riscv64-unknown-elf-objcopy", "-O", "binary", "-j", ".text", image, raw], check=True)
    code = raw.read_bytes()
    base = symbols["_start"]
    words = struct.iter_unpack("<Q", results)
    lines = []
    for n, (_, text, inputs, outputs, flags) in enumerate(table):
        data = code[symbols[f"insn{n}"] - base:symbols[f"end{n}"] - base]
        got = []
        for place in outputs:
            value = next(words)[0]
            if place[0] not in "fm" and xlen == 32:
                value &= 0xFFFFFFFF
            got.append(f"{place}={value:#x}")
        if flags:
            value = next(words)[0]
            if value:
                got.append(f"fflags={value:#x}")
        given = " ".join(f"{p}={v if p[0] in 'fm' else v & ((1 << xlen) - 1):#x}" for p, v in inputs.items())
        lines.append(f"{names[xlen]} {data.hex(' ')} | {text} | {given} => {' '.join(got)}".rstrip())
    return lines


def write(target, tables, names):
    lines = []
    with tempfile.TemporaryDirectory() as work:
        for xlen, table in tables.items():
            for first in range(0, len(table), 5000):
                lines += run(xlen, pathlib.Path(work), table[first:first + 5000], names)
    header = ["# Written by make_riscv.py: the assembler's encodings and QEMU's results. The format is in",
              "# tests/riscv/insn_cases.h."]
    target.write_text("\n".join(header + lines) + "\n")
    print(f"{len(lines)} cases in {target}", file=sys.stderr)


def main():
    """Without arguments: riscv.ins, riscv_zk.ins. With COUNT SEED FILE: a random campaign of both into FILE, for the
    test InsnFile."""
    plain = {xlen: cases(xlen) for xlen in (64, 32)}
    crypto = {xlen: crypto_cases(xlen) for xlen in (64, 32)}
    everything = {64: "max", 32: "max32"}
    if len(sys.argv) == 4:
        rng = random.Random(int(sys.argv[2]))
        tables = {xlen: randomized(plain[xlen] + crypto[xlen], rng, int(sys.argv[1])) for xlen in (64, 32)}
        write(pathlib.Path(sys.argv[3]), tables, everything)
    else:
        here = pathlib.Path(__file__).parent
        write(here / "riscv.ins", plain, {64: "rv64", 32: "rv32"})
        write(here / "riscv_zk.ins", crypto, everything)


if __name__ == "__main__":
    main()
