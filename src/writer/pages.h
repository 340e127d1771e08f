/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Room for the largest of something whose size is not known beforehand: address space, whose pages
 * come as they are touched.
 */
#ifndef WRITER_PAGES_H
#define WRITER_PAGES_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/err.h"

/* -errno. */
MUST_USE static inline int pages_reserve(uint8_t **ret_bytes, size_t len)
{
    void *bytes =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    *ret_bytes = bytes;
    return 0;
}

/* Nothing happens if there are none. */
static inline void pages_release(uint8_t *bytes, size_t len)
{
    if (bytes != NULL)
        munmap(bytes, len);
}

#endif
