/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loopback address at which servers of tests listen, which nobody outside the process has. At
 * 127.0.0.1 somebody else may come by: who still asks a target or a receiver that has gone, say,
 * whose port the system has given to a test meanwhile.
 */
#ifndef TESTS_UNIT_LOOPBACK_H
#define TESTS_UNIT_LOOPBACK_H

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define LOOPBACK_TEXT 16

/* In the byte order of the host. Process ids have 22 bits. */
static inline uint32_t loopback_address(void)
{
    return UINT32_C(0x7f800000) | ((uint32_t)getpid() & 0x3fffff);
}

static inline const char *loopback_text(char text[LOOPBACK_TEXT])
{
    uint32_t address = loopback_address();
    snprintf(text, LOOPBACK_TEXT, "%u.%u.%u.%u", address >> 24, address >> 16 & 0xff,
             address >> 8 & 0xff, address & 0xff);
    return text;
}

#endif
