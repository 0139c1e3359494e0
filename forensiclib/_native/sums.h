/* What every digest engine shares: byte order, levels, the saved state's frame.

   A state is bytes: the count of bytes seen (64 bits, little-endian), the chaining values (words
   little-endian whatever the algorithm's own order), then the bytes that wait for their block, zero behind them.
   How many wait follows from the count, so no state, however damaged, makes an engine read or write outside its own. */
#ifndef FORENSICLIB_SUMS_H
#define FORENSICLIB_SUMS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define SUMS_X86 1
#include <cpuid.h>
#include <immintrin.h>
#define SUMS_TARGET(names) __attribute__((target(names)))
#define SUMS_INLINE static inline __attribute__((always_inline))
#else
#define SUMS_TARGET(names)
#ifdef _MSC_VER
#define SUMS_INLINE static __forceinline
#else
#define SUMS_INLINE static inline
#endif
#endif

/* Loops over a constant table must be flat, or the rotating names of the words would be memory. */
#define SUMS_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define SUMS_UNROLL(n) SUMS_PRAGMA(unroll)
#elif defined(__GNUC__)
#define SUMS_UNROLL(n) SUMS_PRAGMA(GCC unroll n)
#else
#define SUMS_UNROLL(n)
#endif

#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define SUMS_BIG 1
#endif

enum { SUMS_SCALAR = 0, SUMS_SSE = 1, SUMS_AVX2 = 2, SUMS_AVX512 = 3 };

SUMS_INLINE uint32_t sums_swap32(uint32_t v) {
#if defined(__GNUC__) || defined(__clang__)
    return __builtin_bswap32(v);
#else
    return v << 24 | (v & 0xFF00u) << 8 | (v >> 8 & 0xFF00u) | v >> 24;
#endif
}

SUMS_INLINE uint64_t sums_swap64(uint64_t v) {
    return (uint64_t)sums_swap32((uint32_t)v) << 32 | sums_swap32((uint32_t)(v >> 32));
}

SUMS_INLINE uint32_t sums_le32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
#ifdef SUMS_BIG
    v = sums_swap32(v);
#endif
    return v;
}

SUMS_INLINE uint32_t sums_be32(const uint8_t *p) {
    return sums_swap32(sums_le32(p));
}

SUMS_INLINE uint64_t sums_le64(const uint8_t *p) {
    return sums_le32(p) | (uint64_t)sums_le32(p + 4) << 32;
}

SUMS_INLINE uint64_t sums_be64(const uint8_t *p) {
    return sums_swap64(sums_le64(p));
}

SUMS_INLINE void sums_put32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

SUMS_INLINE void sums_put64(uint8_t *p, uint64_t v) {
    sums_put32(p, (uint32_t)v);
    sums_put32(p + 4, (uint32_t)(v >> 32));
}

SUMS_INLINE uint32_t sums_rol(uint32_t v, int n) {
    return v << n | v >> (32 - n);
}

SUMS_INLINE uint32_t sums_ror(uint32_t v, int n) {
    return v >> n | v << (32 - n);
}

SUMS_INLINE uint64_t sums_ror64(uint64_t v, int n) {
    return v >> n | v << (64 - n);
}

/* The best level of this machine. */
static int sums_best_level(void) {
#ifdef SUMS_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("ssse3") || !__builtin_cpu_supports("sse4.1") || !__builtin_cpu_supports("pclmul")) return SUMS_SCALAR;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2")) return SUMS_SSE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) return SUMS_AVX512;
    return SUMS_AVX2;
#else
    return SUMS_SCALAR;
#endif
}

/* Whether SHA-1 and SHA-256 have instructions of their own (CPUID leaf 7, EBX bit 29). */
static int sums_has_sha(void) {
#ifdef SUMS_X86
    unsigned a, b, c, d;
    return sums_best_level() >= SUMS_SSE && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
#else
    return 0;
#endif
}

#endif
