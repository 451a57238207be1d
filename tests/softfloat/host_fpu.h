// The host's SSE unit as a reference: one instruction under a chosen rounding mode, and the flags that it
// raised. Inline assembly, because a compiler may move arithmetic across a change of MXCSR.
#pragma once
#include <immintrin.h>

#include <cstring>
#include <type_traits>

#include "tests/softfloat/report.h"

namespace hindcast::fp::test::host {

/// All exceptions masked, no flags; rounding in bits 13 and 14, in x86's order. RMM has no counterpart.
inline u32 mxcsr(Round rm) {
  switch (rm) {
    case Round::TowardZero: return 0x7f80;
    case Round::Down: return 0x3f80;
    case Round::Up: return 0x5f80;
    default: return 0x1f80;
  }
}

inline constexpr Round kHostRounds[] = {Round::NearestEven, Round::TowardZero, Round::Down, Round::Up};

template <typename T>
__m128i to_register(T value) {
  __m128i reg = _mm_setzero_si128();
  std::memcpy(&reg, &value, sizeof value);
  return reg;
}

template <typename T>
T from_register(__m128i reg) {
  T value;
  std::memcpy(&value, &reg, sizeof value);
  return value;
}

template <typename F>
u64 canonical(typename F::Bits a) {
  return is_nan<F>(a) ? default_nan<F>() : a;
}

// clang-format off
/// Runs `text` between loading and storing MXCSR, and declares `flags`. %0 in `text` is `result`, read and
/// written; further operands, given last, are named.
#define HOST_RUN(text, constraint, result, ...)                                                   \
  u32 after = 0;                                                                                  \
  const u32 before = mxcsr(rm), usual = 0x1f80;                                                   \
  asm volatile("ldmxcsr %[before]\n\t" text "\n\tstmxcsr %[after]\n\tldmxcsr %[usual]"            \
               : "+" constraint(result), [after] "=m"(after)                                      \
               : [before] "m"(before), [usual] "m"(usual) __VA_OPT__(,) __VA_ARGS__);             \
  const u32 flags = after & kAllFlags

/// name<F>(a, b, rm): an SSE instruction with two operands and a result of the format F.
#define HOST_BINARY(name, stem)                                                                   \
  template <typename F>                                                                           \
  Result name(typename F::Bits a, typename F::Bits b, Round rm) {                                 \
    __m128i x = to_register(a);                                                                   \
    const __m128i y = to_register(b);                                                             \
    if constexpr (std::is_same_v<F, F32>) {                                                       \
      HOST_RUN(stem "ss %[y], %0", "x", x, [y] "x"(y));                                           \
      return {canonical<F>(from_register<u32>(x)), flags};                                        \
    } else {                                                                                      \
      HOST_RUN(stem "sd %[y], %0", "x", x, [y] "x"(y));                                           \
      return {canonical<F>(from_register<u64>(x)), flags};                                        \
    }                                                                                             \
  }
HOST_BINARY(add, "add")
HOST_BINARY(sub, "sub")
HOST_BINARY(mul, "mul")
HOST_BINARY(div, "div")
#undef HOST_BINARY

/// name<F>(a, b): an SSE comparison that answers with a mask, here 0 or 1.
#define HOST_COMPARE(name, stem)                                                                  \
  template <typename F>                                                                           \
  Result name(typename F::Bits a, typename F::Bits b) {                                           \
    const Round rm = Round::NearestEven;                                                          \
    __m128i x = to_register(a);                                                                   \
    const __m128i y = to_register(b);                                                             \
    if constexpr (std::is_same_v<F, F32>) {                                                       \
      HOST_RUN(stem "ss %[y], %0", "x", x, [y] "x"(y));                                           \
      return {from_register<u32>(x) & 1, flags};                                                  \
    } else {                                                                                      \
      HOST_RUN(stem "sd %[y], %0", "x", x, [y] "x"(y));                                           \
      return {from_register<u64>(x) & 1, flags};                                                  \
    }                                                                                             \
  }
HOST_COMPARE(eq, "cmpeq")
HOST_COMPARE(lt, "cmplt")
HOST_COMPARE(le, "cmple")
#undef HOST_COMPARE

template <typename F>
Result sqrt(typename F::Bits a, Round rm) {
  __m128i x = to_register(a);
  if constexpr (std::is_same_v<F, F32>) {
    HOST_RUN("sqrtss %0, %0", "x", x);
    return {canonical<F>(from_register<u32>(x)), flags};
  } else {
    HOST_RUN("sqrtsd %0, %0", "x", x);
    return {canonical<F>(from_register<u64>(x)), flags};
  }
}

/// Needs FMA3.
template <typename F>
Result fma(typename F::Bits a, typename F::Bits b, typename F::Bits c, Round rm) {
  __m128i x = to_register(a);
  const __m128i y = to_register(b), z = to_register(c);
  if constexpr (std::is_same_v<F, F32>) {
    HOST_RUN("vfmadd213ss %[z], %[y], %0", "x", x, [y] "x"(y), [z] "x"(z));
    return {canonical<F>(from_register<u32>(x)), flags};
  } else {
    HOST_RUN("vfmadd213sd %[z], %[y], %0", "x", x, [y] "x"(y), [z] "x"(z));
    return {canonical<F>(from_register<u64>(x)), flags};
  }
}

/// Int is i32 or i64. An invalid conversion gives x86's "integer indefinite", the smallest number.
template <typename Int, typename F>
Result to_integer(typename F::Bits a, Round rm) {
  const __m128i x = to_register(a);
  Int value = 0;
  if constexpr (std::is_same_v<F, F32>) {
    HOST_RUN("cvtss2si %[x], %0", "r", value, [x] "x"(x));
    return {static_cast<u64>(value), flags};
  } else {
    HOST_RUN("cvtsd2si %[x], %0", "r", value, [x] "x"(x));
    return {static_cast<u64>(value), flags};
  }
}

template <typename F>
Result from_i64(i64 a, Round rm) {
  __m128i x = _mm_setzero_si128();
  if constexpr (std::is_same_v<F, F32>) {
    HOST_RUN("cvtsi2ss %q[a], %0", "x", x, [a] "r"(a));
    return {from_register<u32>(x), flags};
  } else {
    HOST_RUN("cvtsi2sd %q[a], %0", "x", x, [a] "r"(a));
    return {from_register<u64>(x), flags};
  }
}

inline Result f32_to_f64(u32 a, Round rm) {
  __m128i x = to_register(a);
  HOST_RUN("cvtss2sd %0, %0", "x", x);
  return {canonical<F64>(from_register<u64>(x)), flags};
}

inline Result f64_to_f32(u64 a, Round rm) {
  __m128i x = to_register(a);
  HOST_RUN("cvtsd2ss %0, %0", "x", x);
  return {canonical<F32>(from_register<u32>(x)), flags};
}

/// Needs F16C, like the next. The immediate 4 takes the rounding mode from MXCSR.
inline Result f32_to_f16(u32 a, Round rm) {
  __m128i x = to_register(a);
  HOST_RUN("vcvtps2ph $4, %0, %0", "x", x);
  return {canonical<F16>(from_register<u16>(x)), flags};
}

inline Result f16_to_f32(u16 a, Round rm) {
  __m128i x = to_register(a);
  HOST_RUN("vcvtph2ps %0, %0", "x", x);
  return {canonical<F32>(from_register<u32>(x)), flags};
}
#undef HOST_RUN
// clang-format on

}  // namespace hindcast::fp::test::host
