// What is read from a callback's code is what the callback does; what cannot be read is not guessed.
#include "plugins/foresight.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "engine/instrument_ops.h"

extern "C" {
extern const char __executable_start[], etext[];  // the linker's
// The memory of the functions below.
std::uint64_t hindcast_test_memory[8];
std::uint64_t* hindcast_test_pointer = hindcast_test_memory + 2;
std::uint8_t hindcast_test_flag;
extern const std::uint64_t hindcast_test_constant;
const std::uint64_t hindcast_test_constant = 3;
}

// Functions as the interface has them, for the memory above; not among the code that is read.
extern "C" {
[[gnu::noinline]] void hindcast_test_add(unsigned, std::uint64_t place, std::uint64_t, std::uint64_t n) {
  hindcast_test_memory[place] += n;
}
[[gnu::noinline]] void hindcast_test_set(unsigned, std::uint64_t place, std::uint64_t, std::uint64_t n) {
  hindcast_test_memory[place] = n;
}
[[gnu::noinline]] std::uint64_t hindcast_test_get(unsigned, std::uint64_t place) {
  return hindcast_test_memory[place];
}
[[gnu::noinline]] std::uint64_t* hindcast_test_find(unsigned, std::uint64_t place) {
  return hindcast_test_memory + place;
}
}

// A function for each form; in assembler, since a compiler's choice would differ from one to the next.
#define CODE(name, text)                           \
  extern "C" void name(unsigned vcpu, void* data); \
  asm(".text\n.globl " #name "\n" #name ":\n.intel_syntax noprefix\n" text "\n.att_syntax\n")

CODE(nothing, "endbr64; ret");
CODE(add_rip, "add qword ptr [rip + hindcast_test_memory], 1; ret");
CODE(add_data, "add qword ptr [rsi], 3; ret");
CODE(increment, "inc dword ptr [rsi + 4]; ret");
CODE(decrement, "dec qword ptr [rsi]; ret");
CODE(subtract, "sub qword ptr [rsi], 130; ret");
CODE(by_steps, "mov rax, [rsi]; add rax, 1; mov [rsi], rax; ret");
CODE(by_lea, "mov rax, [rsi]; lea rdx, [rax + 5]; mov [rsi], rdx; ret");
CODE(twice, "add qword ptr [rsi], 1; add qword ptr [rsi], 2; ret");
CODE(by_vcpu,
     "mov eax, edi; and eax, 7; shl rax, 4; lea rdx, [rip + hindcast_test_memory]; add qword ptr [rax + rdx "
     "+ 8], 1; ret");
CODE(by_pointer, "mov rax, [rip + hindcast_test_pointer]; add qword ptr [rax], 1; ret");
CODE(saving,
     "push rbx; sub rsp, 16; mov [rsp + 8], rsi; mov rbx, [rsp + 8]; add qword ptr [rbx], 1; add rsp, 16; "
     "pop rbx; ret");
CODE(by_flag,
     "cmp byte ptr [rip + hindcast_test_flag], 0; jne 1f; add qword ptr [rsi], 1; ret; 1: mov dword ptr [rsi "
     "+ 8], -2; ret");
CODE(signed_test, "mov eax, -5; cmp eax, 3; jl 1f; add qword ptr [rsi], 7; 1: add qword ptr [rsi], 1; ret");
CODE(unsigned_test, "mov eax, -5; cmp eax, 3; jb 1f; add qword ptr [rsi], 7; 1: add qword ptr [rsi], 1; ret");
CODE(zero_test, "test esi, esi; je 1f; add qword ptr [rsi], 7; ret; 1: add qword ptr [rsi], 1; ret");
CODE(by_last, "mov rax, [rsi]; cmp rax, rdi; je 1f; add qword ptr [rsi + 8], 1; 1: mov [rsi], rdi; ret");
CODE(by_small,
     "mov eax, [rip + hindcast_test_pointer]; test eax, eax; je 1f; add qword ptr [rsi], 1; 1: ret");
CODE(by_order, "cmp dword ptr [rsi + 8], 100; jg 1f; add qword ptr [rsi], 1; 1: ret");
CODE(swapped, "mov eax, 3; cmp eax, [rsi + 8]; jne 1f; add qword ptr [rsi], 1; 1: ret");
CODE(stores, "mov qword ptr [rsi], -1; mov byte ptr [rsi + 9], 200; mov word ptr [rsi + 12], 513; ret");
CODE(copies, "mov rax, [rip + hindcast_test_pointer]; mov [rsi], rax; ret");
CODE(wraps, "add dword ptr [rsi], -1; ret");
CODE(narrow_set, "mov byte ptr [rsi + 8], -56; movzx eax, byte ptr [rsi + 8]; add [rsi], rax; ret");
CODE(narrow_set16, "mov word ptr [rsi + 8], -2; movzx eax, word ptr [rsi + 8]; add [rsi], rax; ret");
CODE(narrow_set32, "mov dword ptr [rsi + 8], -2; mov eax, [rsi + 8]; add [rsi], rax; ret");
CODE(narrow_carry,
     "add byte ptr [rsi], 127; add byte ptr [rsi], 127; movzx eax, byte ptr [rsi]; mov [rsi + 8], rax; ret");
CODE(narrow_borrow,
     "sub byte ptr [rsi], 100; sub byte ptr [rsi], 100; movzx eax, byte ptr [rsi]; mov [rsi + 8], rax; ret");
CODE(narrow_carry16, "add word ptr [rsi], -200; movzx eax, word ptr [rsi]; mov [rsi + 8], rax; ret");
CODE(narrow_carry32, "add dword ptr [rsi], -200; mov eax, [rsi]; mov [rsi + 8], rax; ret");
CODE(pushes_negative, "push -2; pop rax; mov [rsi], rax; ret");

CODE(calls, "sub rsp, 8; call add_data; add rsp, 8; ret");
CODE(ends_with, "mov esi, 5; xor edx, edx; mov ecx, 9; jmp hindcast_test_add");
CODE(by_element,
     "push rbx; mov rbx, rsi; mov esi, 3; call hindcast_test_find; inc qword ptr [rax]; inc qword ptr [rbx]; "
     "pop rbx; ret");
CODE(by_value, "push rsi; mov esi, 1; call hindcast_test_get; pop rsi; mov [rsi], rax; ret");
CODE(sets, "sub rsp, 8; mov esi, 2; xor edx, edx; mov ecx, 77; call hindcast_test_set; add rsp, 8; ret");
CODE(keeps_lost,
     "push rsi; mov esi, 5; xor edx, edx; mov ecx, 1; mov r8d, 1; call hindcast_test_add; pop rsi; mov "
     "[rsi], r8; ret");
CODE(wrong, "mov esi, 99; xor edx, edx; mov ecx, 1; jmp hindcast_test_add");
CODE(calls_itself, "sub rsp, 8; call calls_itself; add rsp, 8; ret");
CODE(goes_elsewhere, "jmp rsi");
CODE(never_ends, "1: jmp 1b");
CODE(long_loop, "mov eax, 1000; 1: sub eax, 1; test eax, eax; jne 1b; ret");
CODE(tells_time, "rdtsc; mov [rsi], rax; ret");
CODE(of_thread, "mov rax, fs:[0]; mov [rsi], rax; ret");
CODE(atomic, "lock add qword ptr [rsi], 1; ret");
CODE(parameters, "mov [rsi], r8; ret");
CODE(from_two, "mov rax, [rsi]; add rax, [rsi + 8]; mov [rsi], rax; jc 1f; 1: ret");
CODE(overlapping, "add qword ptr [rsi], 1; add dword ptr [rsi + 4], 1; ret");
CODE(nowhere, "add qword ptr [8], 1; ret");
CODE(into_code, "lea rax, [rip + nothing]; add qword ptr [rax], 1; ret");
CODE(through_pointer,
     "mov rax, [rip + hindcast_test_pointer]; mov rax, [rax]; test rax, rax; je 1f; add qword ptr [rsi], 1; "
     "1: "
     "ret");
CODE(by_constant, "mov rax, [rip + hindcast_test_constant]; add qword ptr [rsi], rax; ret");
CODE(own_return, "mov rax, [rsp]; mov [rsi], rax; ret");
CODE(stack_overlap,
     "mov qword ptr [rsp - 16], 1; mov qword ptr [rsp - 12], 2; mov rax, [rsp - 16]; mov [rsi], rax; ret");
CODE(stack_overlap_before,
     "mov qword ptr [rsp - 12], 1; mov qword ptr [rsp - 16], 2; mov rax, [rsp - 12]; mov [rsi], rax; ret");
CODE(over_return, "mov qword ptr [rsp - 4], 0; add qword ptr [rsi], 1; ret");
CODE(half_a_stack_address,
     "lea eax, [rsp + 8]; mov rcx, rsp; mov qword ptr [rax - 24], 1; mov [rsi], rdi; ret");
CODE(pops_more, "add rsp, 8; ret");
CODE(breakpoint, "int3; add qword ptr [rsi], 1; ret");

namespace hindcast::plugins {
namespace {

using Function = void (*)(unsigned, void*);
struct Case {
  const char* name;
  Function function;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
#define CASE(name) \
  Case { #name, name }

class ForesightTest : public testing::TestWithParam<Case> {
 protected:
  static constexpr unsigned kVcpu = 2;
  using Memory = std::array<u64, std::size(hindcast_test_memory)>;
  static Memory memory() {
    Memory out;
    std::memcpy(out.data(), hindcast_test_memory, sizeof out);
    return out;
  }
  static void fill() {
    for (unsigned k = 0; k < std::size(hindcast_test_memory); ++k)
      hindcast_test_memory[k] = 0x1111'2222'0000'0000u * k + 0x80;
  }
  bool foresee(Function function, InstrForeseen& out, std::span<const InstrEffect> before = {}) {
    return foresight_.foresee(reinterpret_cast<const void*>(function), {kVcpu, reinterpret_cast<u64>(data())},
                              before, out);
  }
  static void* data() { return hindcast_test_memory + 4; }
  static Foresight::Interface interface() {
    using Does = Foresight::Known::Does;
    auto where = [](const std::array<u64, 4>& arguments) -> std::optional<u64> {
      if (arguments[1] >= std::size(hindcast_test_memory)) return std::nullopt;
      return reinterpret_cast<u64>(hindcast_test_memory + arguments[1]);
    };
    return {{reinterpret_cast<const void*>(hindcast_test_add), {Does::Adds, 4, where}},
            {reinterpret_cast<const void*>(hindcast_test_set), {Does::Sets, 4, where}},
            {reinterpret_cast<const void*>(hindcast_test_get), {Does::Returns, 2, where}},
            {reinterpret_cast<const void*>(hindcast_test_find), {Does::ReturnsAddress, 2, where}}};
  }
  Foresight foresight_{[](const void* at) { return at >= __executable_start && at < etext; }, interface()};
};
class Foreseen : public ForesightTest {};
class NotForeseen : public ForesightTest {};

TEST_P(Foreseen, DoesTheSame) {
  for (const u8 flag : {u8{0}, u8{1}}) {
    hindcast_test_flag = flag;
    fill();
    GetParam().function(kVcpu, data());
    const Memory called = memory();
    fill();
    InstrForeseen foreseen;
    ASSERT_TRUE(foresee(GetParam().function, foreseen));
    for (const InstrForeseen::Read& read : foreseen.reads) EXPECT_TRUE(holds(read));
    for (const InstrEffect& effect : foreseen.effects) apply(effect);
    EXPECT_EQ(memory(), called);
  }
}

TEST_P(NotForeseen, IsLeftAlone) {
  InstrForeseen foreseen;
  EXPECT_FALSE(foresee(GetParam().function, foreseen));
}

/// What was looked at is named, so that a change is noticed.
TEST_F(ForesightTest, NamesWhatItReads) {
  InstrForeseen flag, pointer, none;
  ASSERT_TRUE(foresee(by_flag, flag) && foresee(by_pointer, pointer) && foresee(add_data, none));
  ASSERT_EQ(flag.reads.size(), 1u);
  EXPECT_EQ(flag.reads[0].at, &hindcast_test_flag);
  EXPECT_EQ(flag.reads[0].size, 1);
  ASSERT_EQ(pointer.reads.size(), 1u);
  EXPECT_EQ(pointer.reads[0].at, reinterpret_cast<const u8*>(&hindcast_test_pointer));
  EXPECT_TRUE(none.reads.empty());
  fill();
  InstrForeseen last;
  ASSERT_TRUE(foresee(by_last, last));
  ASSERT_EQ(last.reads.size(), 1u);
  EXPECT_TRUE(last.reads[0].differs);
  EXPECT_EQ(last.reads[0].value, u64{kVcpu});
}

/// That nobody may write there now does not say that nobody will; but a plugin's own constants stay.
TEST_F(ForesightTest, WhatMayOnlyBeReadNowIsNotConstant) {
  void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  hindcast_test_pointer = static_cast<std::uint64_t*>(page);
  InstrForeseen variable, constant;
  EXPECT_TRUE(foresee(through_pointer, variable));
  EXPECT_EQ(variable.reads.size(), 2u);
  hindcast_test_pointer = hindcast_test_memory + 2;
  ::munmap(page, 4096);
  EXPECT_TRUE(foresee(by_constant, constant));
  EXPECT_TRUE(constant.reads.empty());
}

/// What an earlier call leaves counts, not what is there.
TEST_F(ForesightTest, KnowsWhatWasBefore) {
  fill();
  u8* const last = static_cast<u8*>(data());
  InstrForeseen same, other, partly;
  ASSERT_TRUE(foresee(by_last, same, std::array{InstrEffect{last, kVcpu, 8, true}}));
  EXPECT_TRUE(same.reads.empty());
  EXPECT_EQ(same.effects.size(), 1u);
  ASSERT_TRUE(foresee(by_last, other, std::array{InstrEffect{last, kVcpu + 1, 8, true}}));
  EXPECT_TRUE(other.reads.empty());
  EXPECT_EQ(other.effects.size(), 2u);
  EXPECT_FALSE(foresee(by_last, partly, std::array{InstrEffect{last, kVcpu, 4, true}}));
}

/// Only plugins' code is read.
TEST_F(ForesightTest, OtherCodeIsNotRead) {
  Foresight none{[](const void*) { return false; }};
  InstrForeseen foreseen;
  EXPECT_FALSE(none.foresee(reinterpret_cast<const void*>(nothing), {}, {}, foreseen));
}

INSTANTIATE_TEST_SUITE_P(Forms, Foreseen,
                         testing::Values(CASE(nothing), CASE(add_rip), CASE(add_data), CASE(increment),
                                         CASE(decrement), CASE(subtract), CASE(by_steps), CASE(by_lea),
                                         CASE(twice), CASE(by_vcpu), CASE(by_pointer), CASE(saving),
                                         CASE(by_flag), CASE(signed_test), CASE(unsigned_test),
                                         CASE(zero_test), CASE(by_last), CASE(by_small), CASE(by_order),
                                         CASE(swapped), CASE(stores), CASE(copies), CASE(wraps), CASE(calls),
                                         CASE(ends_with), CASE(by_element), CASE(by_value), CASE(sets),
                                         CASE(narrow_set), CASE(narrow_set16), CASE(narrow_set32),
                                         CASE(narrow_carry), CASE(narrow_borrow), CASE(narrow_carry16),
                                         CASE(narrow_carry32), CASE(pushes_negative)),
                         [](const auto& info) { return std::string(info.param.name); });
INSTANTIATE_TEST_SUITE_P(Forms, NotForeseen,
                         testing::Values(CASE(calls_itself), CASE(keeps_lost), CASE(wrong),
                                         CASE(goes_elsewhere), CASE(never_ends), CASE(long_loop),
                                         CASE(tells_time), CASE(of_thread), CASE(atomic), CASE(parameters),
                                         CASE(from_two), CASE(overlapping), CASE(nowhere), CASE(into_code),
                                         CASE(own_return), CASE(pops_more), CASE(breakpoint),
                                         CASE(stack_overlap), CASE(stack_overlap_before), CASE(over_return),
                                         CASE(half_a_stack_address)),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace hindcast::plugins
