/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies of targets that run one program, and how they change from scrape to scrape. */
#ifndef TESTS_UNIT_SCRAPERS_PROGRAMS_H
#define TESTS_UNIT_SCRAPERS_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "tests/unit/dice.h"

#define PAGE_ELEMENTS_MAX 256

/* A line, without its value. */
struct page_element {
    uint8_t kind;
    uint8_t family;
    uint8_t word;     /* of a TYPE, HELP or UNIT */
    uint8_t suffix;   /* of the name */
    uint8_t labels;   /* which it has */
    uint8_t spelling; /* of the same labels */
    uint8_t stamp;    /* its timestamp */
    bool is_new;      /* it goes again soon */
    uint32_t n;       /* in the labels' values */
};

struct page {
    struct page_element elements[PAGE_ELEMENTS_MAX];
    uint32_t count;
    uint32_t next; /* n of the next new line */
    bool is_wild;  /* families are described anywhere, and more than once */
};

/* What the program serves at first: some 60 samples of families of all kinds. */
void page_begin(struct page *page, bool is_wild);

/* From one scrape to the next: most of the time some lines are new, and those of before go. */
void page_change(struct page *page, const struct page *program, struct dice *dice);

/* The program is another one, for all its targets alike. */
void page_change_program(struct page *page, struct dice *dice);

/*
 * An answer with the page: the head, and the body in either format, with values and timestamps of
 * their own. Sometimes the body is damaged.
 */
void page_write(struct strbuf *text, const struct page *page, bool is_openmetrics, int64_t now_ms,
                struct dice *dice);

#endif
