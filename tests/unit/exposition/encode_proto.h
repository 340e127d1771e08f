/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes protobuf messages field by field, the other way round than the parser, for its tests. */
#ifndef TESTS_EXPOSITION_ENCODE_PROTO_H
#define TESTS_EXPOSITION_ENCODE_PROTO_H

#include <stdint.h>
#include <string.h>

#include "base/strbuf.h"

static inline void put_varint(struct strbuf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        strbuf_addc(out, (char)(value | 0x80));
    strbuf_addc(out, (char)value);
}

static inline void put_number(struct strbuf *out, unsigned field, uint64_t value)
{
    put_varint(out, field << 3);
    put_varint(out, value);
}

static inline void put_signed(struct strbuf *out, unsigned field, int64_t value)
{
    put_number(out, field, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static inline void put_double(struct strbuf *out, unsigned field, double value)
{
    put_varint(out, field << 3 | 1);
    strbuf_add(out, &value, sizeof(value));
}

static inline void put_bytes(struct strbuf *out, unsigned field, const void *bytes, size_t len)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, len);
    strbuf_add(out, bytes, len);
}

static inline void put_text(struct strbuf *out, unsigned field, const char *text)
{
    put_bytes(out, field, text, strlen(text));
}

/* Takes the inner message over. */
static inline void put_message(struct strbuf *out, unsigned field, struct strbuf *inner)
{
    put_bytes(out, field, inner->text != NULL ? inner->text : "", inner->len);
    strbuf_fini(inner);
}

static inline void put_label(struct strbuf *out, unsigned field, const char *name,
                             const char *value)
{
    struct strbuf label = STRBUF_GROWING;
    put_text(&label, 1, name);
    put_text(&label, 2, value);
    put_message(out, field, &label);
}

/* The types of metrics, as protobuf numbers them. */
enum { COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM, TYPES };

/* A family without metrics. */
static inline struct strbuf new_family(const char *name, int type)
{
    struct strbuf family = STRBUF_GROWING;
    put_text(&family, 1, name);
    put_text(&family, 2, "some help");
    put_number(&family, 3, (uint64_t)type);
    return family;
}

/* A family with its length in front; takes it over. */
static inline void put_delimited(struct strbuf *out, struct strbuf *family)
{
    put_varint(out, family->len);
    strbuf_add(out, family->text != NULL ? family->text : "", family->len);
    strbuf_fini(family);
}

#endif
