/* Large buffers in large pages where the system offers them: filling a table is then mostly
   computing, not page faults. A hint only; the contents and the API are the same without it. */
#ifndef FORENSICLIB_PAGES_H
#define FORENSICLIB_PAGES_H

#include <stddef.h>
#include <stdint.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#define FORENSICLIB_LARGE ((size_t)1 << 18)

static void forensiclib_large_pages(void *data, size_t size) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (size >= FORENSICLIB_LARGE) {
        uintptr_t start = ((uintptr_t)data + 4095) & ~(uintptr_t)4095, end = ((uintptr_t)data + size) & ~(uintptr_t)4095;
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
    }
#else
    (void)data;
    (void)size;
#endif
}

#endif
