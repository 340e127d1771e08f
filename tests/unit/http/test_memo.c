/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/memo.h"
#include "tests/unit/dice.h"
#include "tests/unit/http/transcript.h"

#define DATE        "Date: Thu, 26 Nov 2026 06:31:36 GMT\r\n"
#define TYPE        "Content-Type: text/plain; version=0.0.4\r\n"
#define LENGTH(len) "Content-Length: " len "\r\n"
#define OK          "HTTP/1.1 200 OK\r\n"

static struct dice dice;

/* What is said of an answer, with a memo or without, each as one text. */
static char *said_of(struct http_memo *memo, const char *bytes, size_t len, size_t *ret_used)
{
    struct transcript transcript = {0};
    http_response_start(&transcript.response, false);
    http_response_remember(&transcript.response, memo);
    transcript_feed(&transcript, bytes, len);
    transcript_eof(&transcript);
    *ret_used = transcript.used;
    char *text = strdup(transcript.text.text);
    assert_non_null(text);
    transcript_fini(&transcript);
    return text;
}

static void assert_the_same(struct http_memo *memo, const char *bytes, size_t len)
{
    size_t used, plainly_used;
    char *text = said_of(memo, bytes, len, &used);
    char *plain = said_of(NULL, bytes, len, &plainly_used);
    if (used != plainly_used || strcmp(text, plain) != 0)
        fail_msg("%.*s\nremembered: %s\nparsed: %s", (int)len, bytes, text, plain);
    free(text);
    free(plain);
}

/* Whether the head is known once `kept` has been read. */
static bool is_recalled(const char *kept, const char *head)
{
    struct http_memo memo = {0};
    struct http_head parsed;
    struct http_framing framing;
    size_t used;
    free(said_of(&memo, kept, strlen(kept), &used));
    size_t len = http_memo_find(&memo, slice_of(head), &parsed, &framing);
    assert_the_same(&memo, head, strlen(head));
    assert_true(len == 0 || len == strlen(head));
    return len > 0;
}

static void date_and_length_may_differ(void **state)
{
    (void)state;
    static const char other_date[] = "Date: Fri, 27 Nov 2026 23:59:59 GMT\r\n";
    char head[512];
    assert_true(
        is_recalled(OK TYPE DATE LENGTH("7850") "\r\n", OK TYPE DATE LENGTH("7850") "\r\n"));
    snprintf(head, sizeof(head), OK TYPE "%s" LENGTH("10234") "\r\n", other_date);
    assert_true(is_recalled(OK TYPE DATE LENGTH("7850") "\r\n", head));
    snprintf(head, sizeof(head), OK LENGTH("0") "%s" TYPE "\r\n", other_date);
    assert_true(is_recalled(OK LENGTH("77") DATE TYPE "\r\n", head));
    snprintf(head, sizeof(head), OK TYPE "%sTransfer-Encoding: chunked\r\n\r\n", other_date);
    assert_true(is_recalled(OK TYPE DATE "Transfer-Encoding: chunked\r\n\r\n", head));
    assert_true(is_recalled(OK TYPE "\r\n", OK TYPE "\r\n"));
}

static void nothing_else_may(void **state)
{
    (void)state;
    static const char kept[] = OK TYPE DATE LENGTH("7850") "\r\n";
    static const char *const others[] = {
        OK TYPE DATE LENGTH("") "\r\n",
        OK TYPE DATE LENGTH("1x") "\r\n",
        OK TYPE DATE LENGTH("1 ") "\r\n",
        OK TYPE DATE LENGTH("9223372036854775808") "\r\n",
        OK TYPE DATE LENGTH("5") LENGTH("7850") "\r\n",
        OK TYPE DATE LENGTH("5") "Connection: close\r\n\r\n",
        OK TYPE "Date: Thu, 26 Nov 2026 06:31:36 GM\r\n" LENGTH("5") "\r\n",
        OK TYPE "Date: Thu, 26 Nov\r\nX-Test: 06:31:3\r\n" LENGTH("5") "\r\n",
        OK TYPE "Date: Thu, 26 Nov 2026\001 6:31:36 GMT\r\n" LENGTH("5") "\r\n",
        OK TYPE "Date: Thu, 26 Nov\r\n\r\nody\r\n 06:31:\r\n" LENGTH("5") "\r\n",
        "HTTP/1.0 200 OK\r\n" TYPE DATE LENGTH("7850") "\r\n",
        "HTTP/1.1 204 OK\r\n" TYPE DATE LENGTH("7850") "\r\n",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (is_recalled(kept, others[i]))
            fail_msg("%s", others[i]);
    /* Which of two lengths is another one decides whether the head is right. */
    assert_false(is_recalled(OK LENGTH("5") LENGTH("5") "\r\n", OK LENGTH("5") LENGTH("5") "\r\n"));
    /* Interim answers and broken heads are not kept. */
    assert_false(is_recalled("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"));
    assert_false(is_recalled(OK "x\r\n\r\n", OK "x\r\n\r\n"));
}

/* Heads of many forms, @ is a date, # a length. */
static const char *const forms[] = {
    OK TYPE "Date: @\r\nContent-Length: #\r\n\r\n",
    OK "Content-Length: #\r\nContent-Encoding: gzip\r\n\r\n",
    OK "date:@\ncontent-length:\t# \nX-Test: a\n\n",
    OK "Transfer-Encoding: chunked\r\nDate: @\r\nX-Test: #\r\n\r\n",
    OK "Transfer-Encoding: chunked\r\nDate: @\r\nContent-Length: #\r\n\r\n",
    "HTTP/1.0 200 OK\r\nDate: @\r\nConnection: keep-alive\r\nContent-Length: #\r\n\r\n",
    "HTTP/1.1 503 Service Unavailable\r\nDate: @\r\nRetry-After: 120\r\nContent-Length: "
    "#\r\n\r\n",
    OK "Date: @\r\nDate: x\r\nContent-Length: #\r\nContent-Length: 5\r\n\r\n",
    OK "Content-Type: text/plain;\r\n charset=utf-8\r\nDate: @\r\nContent-Length: #\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: /x\r\nDate: @\r\nContent-Length: #\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n" OK "Date: @\r\nContent-Length: #\r\n\r\n",
};

static size_t fill_in(const char *form, const char *date, const char *length, char *text)
{
    size_t len = 0;
    for (const char *at = form; *at != '\0'; at++) {
        const char *part = *at == '@' ? date : length;
        if (*at != '@' && *at != '#')
            text[len++] = *at;
        else
            len += (size_t)sprintf(text + len, "%s", part);
    }
    return len;
}

static size_t random_answer(char *bytes, size_t size)
{
    char date[64], length[32];
    uint64_t random = dice_bits(&dice);
    snprintf(date, sizeof(date), "%s, %02u Nov 2026 %02u:31:36 GMT",
             random % 2 == 0 ? "Thu" : "Fri", (unsigned)(random >> 8) % 30,
             (unsigned)(random >> 16) % 24);
    uint64_t lengths = dice_bits(&dice) % 40 + 1;
    snprintf(length, sizeof(length), "%u", (unsigned)(dice_bits(&dice) % lengths));
    const char *form = forms[dice_bits(&dice) % (sizeof(forms) / sizeof(forms[0]))];
    size_t head_len = fill_in(form, date, length, bytes);
    assert_true(head_len + 40 < size);
    for (size_t i = 0; i < 40; i++)
        bytes[head_len + i] = "0\r\n\r\n5 x"[dice_bits(&dice) % 9];
    size_t all = head_len + dice_bits(&dice) % 40;
    if (dice_bits(&dice) % 4 == 0) { /* a byte is another one */
        size_t at = dice_bits(&dice) % head_len;
        bytes[at] = "\r\n :;0123a\x7f\xff"[dice_bits(&dice) % 12];
    }
    if (dice_bits(&dice) % 16 == 0) /* there is less */
        all = dice_bits(&dice) % head_len;
    return all;
}

static void what_is_said_of_an_answer_does_not_depend_on_earlier_ones(void **state)
{
    (void)state;
    struct http_memo memo = {0};
    size_t recalled = 0;
    for (int i = 0; i < 200000; i++) {
        char bytes[512];
        struct http_head head;
        struct http_framing framing;
        size_t len = random_answer(bytes, sizeof(bytes));
        recalled += http_memo_find(&memo, slice_make(bytes, len), &head, &framing) > 0;
        assert_the_same(&memo, bytes, len);
    }
    assert_true(recalled > 20000);
}

static void a_long_head_is_not_kept(void **state)
{
    (void)state;
    char head[2048];
    for (size_t len = HTTP_MEMO_TEXT - 20; len < HTTP_MEMO_TEXT + 20; len++) {
        int start = snprintf(head, sizeof(head), "%s", OK "X-Filler: ");
        memset(head + start, 'x', len - (size_t)start - 4);
        memcpy(head + len - 4, "\r\n\r\n", 5);
        assert_int_equal(is_recalled(head, head), len <= HTTP_MEMO_TEXT);
    }
}

/* What looks like a whole head is a part of one. */
static void a_head_is_only_recalled_at_its_beginning(void **state)
{
    (void)state;
    static const char kept[] = OK LENGTH("0") "\r\n";
    static const char first[] = OK "X-Test: ";
    struct http_memo memo = {0};
    struct transcript transcript = {0};
    size_t used;
    free(said_of(&memo, kept, strlen(kept), &used));
    http_response_start(&transcript.response, false);
    http_response_remember(&transcript.response, &memo);
    transcript_feed(&transcript, first, strlen(first));
    transcript_feed(&transcript, kept, strlen(kept));
    assert_string_equal(transcript.text.text,
                        "head 1.1 200 \"200 OK\" test=HTTP/1.1 200 OK\nend keep\n");
    transcript_fini(&transcript);
}

int main(void)
{
    dice.state = seed_of_run("memo", UINT64_C(0x9e3779b97f4a7c15));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(date_and_length_may_differ),
        cmocka_unit_test(nothing_else_may),
        cmocka_unit_test(what_is_said_of_an_answer_does_not_depend_on_earlier_ones),
        cmocka_unit_test(a_long_head_is_not_kept),
        cmocka_unit_test(a_head_is_only_recalled_at_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
