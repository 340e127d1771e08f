/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request body of either version of remote write, read strictly by the specification. The code
 * that unpacks it is protoc-c's; nothing of it is limpet's.
 */
#ifndef TESTS_WRITER_REQUEST_H
#define TESTS_WRITER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum request_kind { REQUEST_SAMPLE, REQUEST_HISTOGRAM, REQUEST_EXEMPLAR, REQUEST_KINDS };

/* A TimeSeries, which has one item. */
struct request_item {
    enum request_kind kind;
    char *series; /* "name=value,..." */
    int64_t ms;
    int64_t start_ms;
    uint64_t bits;  /* of the value, or a histogram's sum */
    char *exemplar; /* its labels, as `series` */
    int32_t schema; /* of a histogram, and the rest of it */
    double count;
    int32_t type; /* metadata of 2.0 */
    char *help;
    char *unit;
};

/* A metadata entry of 1.0. */
struct request_family {
    int32_t type;
    char *name;
    char *help;
    char *unit;
};

struct request {
    bool is_v2;
    bool is_zstd;
    struct request_item *items;
    size_t item_count;
    size_t of[REQUEST_KINDS];
    struct request_family *families;
    size_t family_count;
    size_t malformed; /* what the specification forbids */
};

/* `head` says which version it is. NULL: it cannot be decoded at all. */
struct request *request_read(const char *head, const uint8_t *body, size_t len);
void request_free(struct request *request);

#endif
