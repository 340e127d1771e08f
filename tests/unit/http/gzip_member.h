/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes gzip members for tests. */
#ifndef TESTS_GZIP_MEMBER_H
#define TESTS_GZIP_MEMBER_H

#include "base/slice.h"
#include "base/strbuf.h"

/* Appends a member with this content, with nothing optional in its header. */
void gzip_member(struct strbuf *out, struct slice content);

/*
 * The same with flags (RFC 1952, 2.3.1) and `optional`, the bytes of the fields they announce; a
 * header checksum, if announced, is added.
 */
void gzip_member_with(struct strbuf *out, unsigned char flags, struct slice optional,
                      struct slice content);

#endif
