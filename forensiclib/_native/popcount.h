/* Ones in a word: the instruction where the caller is compiled for it, arithmetic otherwise. */
#ifndef FORENSICLIB_POPCOUNT_H
#define FORENSICLIB_POPCOUNT_H

#include <stdint.h>

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define POPCOUNT_X86 1
#define POPCOUNT_INLINE static inline __attribute__((always_inline))
#define POPCOUNT_TARGET __attribute__((target("popcnt")))
#else
#define POPCOUNT_INLINE static inline
#endif

POPCOUNT_INLINE int popcount_plain(uint64_t x) {
    x -= x >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    return (int)(((x + (x >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F)) * UINT64_C(0x0101010101010101) >> 56);
}

/* ``fast`` is a constant at every call: one branch is left. */
POPCOUNT_INLINE int popcount_of(uint64_t x, int fast) {
#ifdef POPCOUNT_X86
    if (fast) return __builtin_popcountll(x);
#endif
    (void)fast;
    return popcount_plain(x);
}

static int popcount_fast(void) {
#ifdef POPCOUNT_X86
    __builtin_cpu_init();
    return __builtin_cpu_supports("popcnt") != 0;
#else
    return 0;
#endif
}

#endif
