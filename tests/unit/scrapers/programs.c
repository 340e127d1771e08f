/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/scrapers/programs.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum kind { SAMPLE, TYPE, HELP, UNIT, COMMENT, BLANK, KINDS };
enum labels { NO_LABELS, NUMBER, BOUND, QUANTILE, NUMBER_AND_BOUND, LABELS };
enum stamp { NO_STAMP, FRESH, OLD, FUTURE, EARLIER, STAMPS };

enum { FAMILIES = 14, NEW_FAMILIES = 6 };

static const char *const suffixes[] = {"", "_bucket", "_sum", "_count", "_created"};
static const char *const types[] = {"counter", "gauge", "histogram", "summary"};
static const char *const bounds[] = {"1", "2.5", "+Inf", "1e3", "1.0", "x"};

static void insert(struct page *page, uint32_t at, struct page_element element)
{
    if (page->count == PAGE_ELEMENTS_MAX)
        return;
    memmove(&page->elements[at + 1], &page->elements[at],
            (page->count++ - at) * sizeof(page->elements[0]));
    page->elements[at] = element;
}

static struct page_element take_out(struct page *page, uint32_t at)
{
    struct page_element element = page->elements[at];
    memmove(&page->elements[at], &page->elements[at + 1],
            (--page->count - at) * sizeof(page->elements[0]));
    return element;
}

/* ---- what is said of families ---- */

static bool is_description(const struct page *page, uint32_t at)
{
    uint8_t kind = page->elements[at].kind;
    return at < page->count && kind >= TYPE && kind <= UNIT;
}

/* Not between lines that describe. */
static uint32_t place(const struct page *page, uint32_t at)
{
    while (!page->is_wild && at > 0 && is_description(page, at - 1) && is_description(page, at))
        at++;
    return at;
}

static bool is_described(const struct page *page, uint8_t family)
{
    uint32_t i = 0;
    while (i < page->count && (!is_description(page, i) || page->elements[i].family != family))
        i++;
    return i < page->count;
}

/* Samples may stand anywhere, and more than once. */
static bool may_be_anywhere(const struct page *page, uint32_t at)
{
    return page->is_wild || !is_description(page, at);
}

/* ---- changes ---- */

static void append(struct page *page, struct page_element element)
{
    insert(page, page->count, element);
}

static void append_samples(struct page *page, uint8_t family, uint8_t suffix, uint8_t labels,
                           uint32_t count)
{
    for (uint32_t n = 0; n < count; n++)
        append(page,
               (struct page_element){.family = family, .suffix = suffix, .labels = labels, .n = n});
}

void page_begin(struct page *page, bool is_wild)
{
    *page = (struct page){.next = 1000, .is_wild = is_wild};
    for (uint8_t family = 0; family < FAMILIES; family++) {
        uint8_t type = family % 4;
        if (family % 5 != 4) {
            append(page, (struct page_element){.kind = HELP, .family = family});
            append(page, (struct page_element){.kind = TYPE, .family = family, .word = type});
        }
        if (type < 2)
            append_samples(page, family, 0, NUMBER, 4);
        else
            append_samples(page, family, type == 2, type == 2 ? BOUND : QUANTILE, 3);
        if (type >= 2) {
            append_samples(page, family, 2, NO_LABELS, 1);
            append_samples(page, family, 3, NO_LABELS, 1);
        }
    }
}

static uint8_t random_family(struct dice *dice)
{
    return (uint8_t)dice_roll(dice, FAMILIES + NEW_FAMILIES);
}

/* A sample that was never there, and perhaps what is said of its family or another one. */
static void add_new(struct page *page, struct dice *dice)
{
    uint32_t at = dice_roll(dice, 3) > 0 ? dice_roll(dice, page->count + 1) : page->count;
    at = place(page, at);
    uint8_t family = dice_roll(dice, 3) == 0 ? (uint8_t)(FAMILIES + dice_roll(dice, NEW_FAMILIES))
                                             : random_family(dice);
    static const uint8_t labels[] = {NUMBER, NUMBER, NUMBER, NUMBER_AND_BOUND};
    uint8_t of = dice_roll(dice, 6) == 0 ? random_family(dice) : family;
    bool is_said = dice_roll(dice, 2) == 0 && (page->is_wild || !is_described(page, of));
    uint8_t suffix = dice_roll(dice, 5) == 0 ? 1 : 0;
    insert(page, at,
           (struct page_element){.family = family,
                                 .suffix = suffix,
                                 .labels = labels[dice_roll(dice, 4)],
                                 .n = page->next++,
                                 .is_new = true});
    for (uint8_t kind = TYPE; kind <= UNIT; kind++) {
        uint8_t word = (uint8_t)dice_roll(dice, 4);
        if (is_said && dice_roll(dice, 2) == 0)
            insert(page, at,
                   (struct page_element){.kind = kind, .family = of, .word = word, .is_new = true});
    }
}

static void stamp_family(struct page *page, struct dice *dice)
{
    uint8_t family = random_family(dice);
    uint8_t stamp =
        (uint8_t)(dice_roll(dice, 3) > 0 ? dice_roll(dice, 2) : dice_roll(dice, STAMPS));
    bool is_all = dice_roll(dice, 4) == 0;
    for (uint32_t i = 0; i < page->count; i++) {
        if (is_all || page->elements[i].family == family)
            page->elements[i].stamp = stamp;
    }
}

static void change_one(struct page *page, struct dice *dice)
{
    if (page->count < 20)
        return;
    uint32_t at = dice_roll(dice, page->count);
    struct page_element *element = &page->elements[at];
    switch (dice_roll(dice, 8)) {
    case 0:
        (void)take_out(page, at);
        break;
    case 1: /* goes elsewhere, near or far */
    case 2:
        if (may_be_anywhere(page, at)) {
            struct page_element moved = take_out(page, at);
            uint32_t near = at + dice_roll(dice, 4);
            uint32_t far = dice_roll(dice, page->count + 1);
            insert(page, place(page, near > page->count || far % 2 == 0 ? far : near), moved);
        }
        break;
    case 3: /* twice */
        if (may_be_anywhere(page, at)) {
            uint32_t far = dice_roll(dice, page->count + 1);
            insert(page, place(page, far % 2 == 0 ? at : far), *element);
        }
        break;
    case 4:
        element->word = (uint8_t)dice_roll(dice, 4);
        break;
    case 5:
        element->spelling = (uint8_t)dice_roll(dice, 3);
        break;
    case 6:
        stamp_family(page, dice);
        break;
    default: {
        struct page_element comment = {.kind = (uint8_t)(TYPE + dice_roll(dice, KINDS - 1))};
        comment.family = random_family(dice);
        comment.word = (uint8_t)dice_roll(dice, 4);
        if (page->is_wild || !is_described(page, comment.family) || comment.kind > UNIT)
            insert(page, place(page, at), comment);
        break;
    }
    }
}

void page_change_program(struct page *page, struct dice *dice)
{
    for (uint32_t changes = 1 + dice_roll(dice, 3); changes > 0; changes--) {
        if (dice_roll(dice, 2) == 0)
            change_one(page, dice);
        else
            add_new(page, dice);
    }
}

void page_change(struct page *page, const struct page *program, struct dice *dice)
{
    uint32_t what = dice_roll(dice, 20);
    if (what < 4)
        return;
    for (uint32_t i = page->count; what < 15 && i > 0; i--) {
        if (page->elements[i - 1].is_new && dice_roll(dice, 4) > 0)
            (void)take_out(page, i - 1);
    }
    if (what == 15) {
        uint32_t next = page->next;
        *page = *program;
        page->next = next;
    }
    for (uint32_t i = 0; what == 14 && i < page->count; i++)
        page->elements[i].stamp = NO_STAMP;
    for (uint32_t changes = what >= 17 ? 1 + dice_roll(dice, 3) : 0; changes > 0; changes--)
        change_one(page, dice);
    for (uint32_t more = what == 16 ? dice_roll(dice, 20) : dice_roll(dice, 3); more > 0; more--)
        add_new(page, dice);
}

/* ---- as text ---- */

static void write_labels(struct strbuf *text, const struct page_element *element,
                         bool is_openmetrics)
{
    const char *comma = element->spelling == 1 ? "," : "";
    const char *bound = bounds[element->n % (sizeof(bounds) / sizeof(bounds[0]))];
    if (element->spelling == 2 && !is_openmetrics)
        strbuf_addc(text, ' ');
    switch ((enum labels)element->labels) {
    case NUMBER:
        strbuf_addf(text, "{n=\"%u\"%s}", element->n, comma);
        break;
    case BOUND:
        strbuf_addf(text, "{le=\"%s\"%s}", bound, comma);
        break;
    case QUANTILE:
        strbuf_addf(text, "{quantile=\"%s\"%s}", bound, comma);
        break;
    case NUMBER_AND_BOUND:
        strbuf_addf(text, "{le=\"%s\",n=\"%u\"%s}", bound, element->n, comma);
        break;
    default:
        break;
    }
}

static void write_value(struct strbuf *text, struct dice *dice)
{
    static const char *const odd[] = {"NaN", "+Inf", "1e300", "-0", "0.1", "1234567890123456"};
    if (dice_roll(dice, 10) == 0)
        strbuf_adds(text, odd[dice_roll(dice, 6)]);
    else
        strbuf_addf(text, "%u", dice_roll(dice, 100000));
}

static int64_t time_of(enum stamp stamp, int64_t now_ms, struct dice *dice)
{
    switch (stamp) {
    case OLD:
        return now_ms - now_ms % 1000000;
    case FUTURE:
        return now_ms + 700000;
    case EARLIER:
        return now_ms - 10000 - dice_roll(dice, 30000);
    default:
        return now_ms - dice_roll(dice, 10000);
    }
}

static void write_sample(struct strbuf *text, const struct page_element *element,
                         bool is_openmetrics, int64_t now_ms, struct dice *dice)
{
    strbuf_addf(text, "%c%u%s", element->family < FAMILIES ? 'f' : 'g', element->family % FAMILIES,
                suffixes[element->suffix]);
    write_labels(text, element, is_openmetrics);
    strbuf_addc(text, ' ');
    write_value(text, dice);
    if (element->stamp != NO_STAMP) {
        int64_t time_ms = time_of(element->stamp, now_ms, dice);
        if (is_openmetrics)
            strbuf_addf(text, " %" PRId64 ".%03" PRId64, time_ms / 1000, time_ms % 1000);
        else
            strbuf_addf(text, " %" PRId64, time_ms);
    }
    /* Never the same: what a series had last is known by its line, which goes with the series. */
    if (is_openmetrics && dice_roll(dice, 30) == 0)
        strbuf_addf(text, " # {trace=\"%" PRIx64 "\"} 1", dice_bits(dice));
    strbuf_addc(text, '\n');
}

static void write_comment(struct strbuf *text, const struct page_element *element,
                          bool is_openmetrics)
{
    char letter = element->family < FAMILIES ? 'f' : 'g';
    uint32_t number = element->family % FAMILIES;
    switch ((enum kind)element->kind) {
    case TYPE:
        strbuf_addf(text, "# TYPE %c%u %s\n", letter, number, types[element->word]);
        break;
    case HELP:
        strbuf_addf(text, "# HELP %c%u Words %u.\n", letter, number, element->word);
        break;
    case UNIT:
        strbuf_addf(text, "# UNIT %c%u \n", letter, number);
        break;
    case COMMENT:
        strbuf_adds(text, is_openmetrics ? "" : "# just so\n");
        break;
    default:
        strbuf_adds(text, is_openmetrics ? "" : "\n");
        break;
    }
}

static void write_body(struct strbuf *text, const struct page *page, bool is_openmetrics,
                       int64_t now_ms, struct dice *dice)
{
    static const char *const spoilers[] = {"f1 1 2 3\n", "}\n", "f1{n=\"1\",n=\"2\"} 1\n"};
    uint32_t spoiled =
        dice_roll(dice, 25) == 0 ? dice_roll(dice, page->count + 1) : PAGE_ELEMENTS_MAX + 1;
    for (uint32_t i = 0; i < page->count; i++) {
        const struct page_element *element = &page->elements[i];
        if (i == spoiled)
            strbuf_adds(text, spoilers[dice_roll(dice, 3)]);
        if (element->kind == SAMPLE)
            write_sample(text, element, is_openmetrics, now_ms, dice);
        else
            write_comment(text, element, is_openmetrics);
    }
    if (is_openmetrics && dice_roll(dice, 40) > 0)
        strbuf_adds(text, "# EOF\n");
}

void page_write(struct strbuf *text, const struct page *page, bool is_openmetrics, int64_t now_ms,
                struct dice *dice)
{
    struct strbuf body = STRBUF_GROWING;
    strbuf_adds(&body, "");
    write_body(&body, page, is_openmetrics, now_ms, dice);
    text->len = 0;
    strbuf_addf(text, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                is_openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                               : "text/plain; version=0.0.4",
                body.len);
    strbuf_add(text, body.text, body.len);
    strbuf_fini(&body);
}
