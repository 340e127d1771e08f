/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the segments of templates (writer/template.h): reads lines and says how the bytes of each
 * follow from those of the line before. */
#ifndef WRITER_TEMPLATE_MAKER_H
#define WRITER_TEMPLATE_MAKER_H

#include "writer/template.h"

struct template_maker;

struct template_maker *template_maker_new(void);
void template_maker_free(struct template_maker *maker);

/* Nothing has been there before the next line. */
void template_maker_start(struct template_maker *maker);

/* The next line of the segment. */
void template_maker_add(struct template_maker *maker, const struct template_request *request,
                        uint32_t line);

/* The columns of the segment in one piece, in the order of struct template_segment, which stay
 * until the next call; the next segment begins. */
struct template_columns {
    const uint8_t *bytes;
    size_t len;
    uint32_t lines, parts, ops; /* how many of each */
};
struct template_columns template_maker_finish(struct template_maker *maker);

#endif
