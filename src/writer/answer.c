/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { MS_PER_S = 1000, RETRY_AFTER_MAX_MS = 24 * 60 * 60 * MS_PER_S };

enum answer answer_classify(int status, bool retry_on_429)
{
    if (status >= 200 && status < 300)
        return ANSWER_DELIVERED;
    if (status >= 500 && status < 600)
        return ANSWER_RETRY;
    if (status == 429 && retry_on_429)
        return ANSWER_RETRY;
    return ANSWER_REFUSED;
}

static bool contains(struct slice text, const char *part)
{
    return text.len > 0 && memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/*
 * "out of order sample" and "duplicate sample for timestamp" are Prometheus' texts, which most
 * receivers built on its storage pass on; Mimir's error identifiers are spelt with hyphens.
 * "out of bounds" and "too old sample" are no proof that the sample arrived before.
 */
bool answer_says_repeated(struct slice text)
{
    static const char *const phrases[] = {"out of order", "out-of-order", "duplicate sample",
                                          "sample-duplicate-timestamp"};
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        if (contains(text, phrases[i]))
            return true;
    }
    return false;
}

bool answer_written(struct slice value, uint64_t *ret_count)
{
    uint64_t count = 0;
    if (value.len == 0 || value.len > 18)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return false;
        count = count * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    *ret_count = count;
    return true;
}

static int64_t wait_of_seconds(const char *text)
{
    char *end;
    errno = 0;
    long long seconds = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || seconds <= 0)
        return 0;
    if (errno == ERANGE || seconds > RETRY_AFTER_MAX_MS / MS_PER_S)
        return RETRY_AFTER_MAX_MS;
    return seconds * MS_PER_S;
}

/* RFC 9110, 5.6.7: IMF-fixdate, RFC 850 and asctime. */
static bool parse_http_date(const char *text, int64_t *ret_ms)
{
    static const char *const formats[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                          "%a %b %d %H:%M:%S %Y"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct tm date = {0};
        const char *end = strptime(text, formats[i], &date);
        if (end != NULL && *end == '\0') {
            *ret_ms = (int64_t)timegm(&date) * MS_PER_S;
            return true;
        }
    }
    return false;
}

int64_t answer_retry_after(struct slice value, int64_t now_ms)
{
    char text[64];
    if (value.len == 0 || value.len >= sizeof text)
        return 0;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    int64_t date_ms;
    if (!parse_http_date(text, &date_ms))
        return wait_of_seconds(text);
    if (date_ms <= now_ms)
        return 0;
    return date_ms - now_ms < RETRY_AFTER_MAX_MS ? date_ms - now_ms : RETRY_AFTER_MAX_MS;
}
