/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of a body share: body.c goes over the bytes, body_entry.c takes what they say. */
#ifndef SCRAPERS_BODY_PRIVATE_H
#define SCRAPERS_BODY_PRIVATE_H

#include "scrapers/body.h"

/* A plan that was guessed is given up after so many surprises and no hit. */
#define GUESS_MISSES_MAX 32u

/*
 * After so many surprises without a single expected entry only the parser looks for one, which goes
 * over no more bytes than there are in a line: what the plan expects may be much longer, and lines
 * that are not it could come without end.
 */
#define FOLLOW_MISSES_MAX 8u

/* Whether the plan says what comes next. */
bool body_has_expected(const struct body *body);

/* Whether the harvest takes no more samples. */
bool body_is_full(const struct body *body);

/* As many of the entries from the cursor on as come now and are of the usual kind are taken. */
void body_take_run(struct body *body, struct slice *bytes);

/* The entry under the cursor has come. */
void body_take_expected(struct body *body, struct plan_sample *sample);

/* A sample or histogram that the parser found in the gap that begins at `start`. */
void body_take_entry(struct body *body, const char *start, struct exposition_entry *entry);

/* The parser has come to EXPOSITION_ERROR. */
void body_fail_as_parser(struct body *body);

/* At the end of the body: the classic histogram in hand is complete, if they are converted. */
void body_finish_classic(struct body *body);

#endif
