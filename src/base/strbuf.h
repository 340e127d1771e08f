/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text under construction. Either growing (control plane; out of memory aborts) or over a fixed
 * array, where what does not fit is cut. Always NUL-terminated.
 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct strbuf {
    char *text;
    size_t len;
    size_t cap;
    bool fixed;
    bool cut; /* something did not fit */
};

#define STRBUF_GROWING      {0}
#define STRBUF_FIXED(array) {(array), 0, sizeof(array), true, false}

void strbuf_add(struct strbuf *buf, const void *bytes, size_t len);
void strbuf_adds(struct strbuf *buf, const char *text);
void strbuf_addc(struct strbuf *buf, char c);
void strbuf_addf(struct strbuf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

/* A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void strbuf_add_json(struct strbuf *buf, const char *text, size_t len);

/* Frees what a growing buffer owns and empties it. */
void strbuf_fini(struct strbuf *buf);

#endif
