/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/http/transcript.h"

struct answer {
    const char *name;
    const char *bytes;
    const char *expected; /* then the stream ends */
    bool to_head_request;
    size_t left;          /* bytes that belong to no answer */
};

#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"
#define HEAD_OK "head 1.1 200 \"200 OK\"\n"
#define BROKEN_CHUNK(bytes, what) {what, CHUNKED bytes, HEAD_OK "error " what "\n", false, 0}

static const struct answer answers[] = {
    /* How the body ends. */
    {"length", OK "Content-Length: 5\r\n\r\nhello", HEAD_OK "body hello\nend keep\n", false, 0},
    {"no body", OK "Content-Length: 0\r\n\r\n", HEAD_OK "end keep\n", false, 0},
    {"equal lengths", OK "Content-Length: 2\r\ncontent-length:2 \r\n\r\nhi",
     HEAD_OK "body hi\nend keep\n", false, 0},
    {"until the end", OK "\r\nall of it", HEAD_OK "body all of it\nend\n", false, 0},
    {"nothing until the end", OK "\r\n", HEAD_OK "end\n", false, 0},
    {"chunks", CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
     HEAD_OK "body hello world\nend keep\n", false, 0},
    {"no chunk", CHUNKED "0\r\n\r\n", HEAD_OK "end keep\n", false, 0},
    {"chunk extensions, spaces, leading zeros",
     CHUNKED "0005;a=b;c=\"d;e\"\r\nhello\r\n1 \t\r\n!\r\n00\r\n\r\n",
     HEAD_OK "body hello!\nend keep\n", false, 0},
    {"hexadecimal", CHUNKED "a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
     HEAD_OK "body 01234567890123456789a\nend keep\n", false, 0},
    {"trailers", CHUNKED "1\r\nx\r\n0\r\nA: b\r\nC: d\n\r\n", HEAD_OK "body x\nend keep\n",
     false, 0},
    {"trailers with a bare LF", CHUNKED "1\r\nx\r\n0\r\n\rA: b\r\n\n",
     HEAD_OK "body x\nend keep\n", false, 0},
    {"chunks go before length", OK "Content-Length: 7\r\nTransfer-Encoding: Chunked\r\n\r\n"
     "1\r\nx\r\n0\r\n\r\n", HEAD_OK "body x\nend keep\n", false, 0},
    {"HEAD", OK "Content-Length: 5\r\n\r\n", HEAD_OK "end keep\n", true, 0},
    {"HEAD with chunks", CHUNKED, HEAD_OK "end keep\n", true, 0},
    {"204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
     "head 1.1 204 \"204 No Content\"\nend keep\n", false, 0},
    {"304", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
     "head 1.1 304 \"304 Not Modified\"\nend keep\n", false, 0},
    {"bytes behind the answer", OK "Content-Length: 1\r\n\r\nxHTTP/1.1",
     HEAD_OK "body x\nend keep\n", false, 8},

    /* Interim answers. */
    {"continue", "HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\nx",
     HEAD_OK "body x\nend keep\n", false, 0},
    {"early hints", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
     OK "Content-Length: 1\r\n\r\nx", HEAD_OK "body x\nend keep\n", false, 0},
    {"switching protocols", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
     "head 1.1 101 \"101 Switching Protocols\"\nend\n", false, 0},
    {"no end of them",
     "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n"
     "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n\r\n",
     "error net/http: too many 1xx informational responses\n", false, 0},

    /* Whether the connection goes on. */
    {"close", OK "Connection: close\r\nContent-Length: 0\r\n\r\n", HEAD_OK "end\n", false, 0},
    {"close in a list", OK "Connection: x, CLOSE ,y\r\nContent-Length: 0\r\n\r\n",
     HEAD_OK "end\n", false, 0},
    {"close in a second field",
     OK "Connection: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
     HEAD_OK "end\n", false, 0},
    {"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "head 1.0 200 \"200 OK\"\nend\n",
     false, 0},
    {"1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
     "head 1.0 200 \"200 OK\"\nend keep\n", false, 0},
    {"1.0 knows no chunks", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "head 1.0 200 \"200 OK\"\nbody 0\r\n\r\n\nend\n", false, 0},

    /* The head. */
    {"fields", OK "Content-Type: text/plain; version=0.0.4\r\nCONTENT-ENCODING:\tgzip \r\n"
     "Retry-After:  120\r\nLocation: /x\r\nx-test: a b\r\nContent-Type: second\r\n"
     "Content-Length: 0\r\n\r\n",
     "head 1.1 200 \"200 OK\" type=text/plain; version=0.0.4 encoding=gzip retry=120 location=/x"
     " test=a b\nend keep\n", false, 0},
    {"bare LF", "HTTP/1.1 200 OK\nContent-Length: 1\nContent-Type: a\n\nx",
     "head 1.1 200 \"200 OK\" type=a\nbody x\nend keep\n", false, 0},
    {"folded", OK "Content-Type: text/plain;\r\n  version=1\r\n\t; x=y\r\nX-Test:\n  a\n b \n"
     "Content-Length: 1\r\n\r\nx",
     "head 1.1 200 \"200 OK\" type=text/plain; version=1 ; x=y test=a b\nbody x\nend keep\n",
     false, 0},
    {"no reason", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", "head 1.1 404 \"404\"\nend keep\n",
     false, 0},
    {"odd reason", "HTTP/1.1  503  Not  \xff today\r\nContent-Length: 0\r\n\r\n",
     "head 1.1 503 \"503  Not  \xff today\"\nend keep\n", false, 0},
    {"empty field name and empty value", OK ": x\r\nX-Test:\r\nContent-Length: 0\r\n\r\n",
     "head 1.1 200 \"200 OK\" test=\nend keep\n", false, 0},
    {"a space before the colon is another name",
     OK "X-Test : a\r\nContent-Length: 0\r\n\r\n", HEAD_OK "end keep\n", false, 0},

    /* What is refused. */
    {"empty", "", "error EOF\n", false, 0},
    {"cut head", "HTTP/1.1 200", "error unexpected EOF\n", false, 0},
    {"cut body", OK "Content-Length: 5\r\n\r\nhel", HEAD_OK "body hel\nerror unexpected EOF\n",
     false, 0},
    {"cut chunk", CHUNKED "5\r\nhel", HEAD_OK "body hel\nerror unexpected EOF\n", false, 0},
    {"no last chunk", CHUNKED "3\r\nhel\r\n", HEAD_OK "body hel\nerror unexpected EOF\n", false, 0},
    {"no end of the trailers", CHUNKED "0\r\n", HEAD_OK "error unexpected EOF\n", false, 0},
    {"not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n",
     "error malformed HTTP response \"SSH-2.0-OpenSSH_9.2\"\n", false, 0},
    {"an empty line", "\r\n" OK "\r\n", "error malformed HTTP response \"\"\n", false, 19},
    {"version", "HTTP/11 200 OK\r\n\r\n", "error malformed HTTP version \"HTTP/11\"\n", false, 0},
    {"status", "HTTP/1.1 20 OK\r\n\r\n", "error malformed HTTP status code \"20\"\n", false, 0},
    {"status with a letter", "HTTP/1.1 2x0 OK\r\n\r\n",
     "error malformed HTTP status code \"2x0\"\n", false, 0},
    {"no colon", OK "Content-Length 5\r\n\r\n",
     "error malformed MIME header line: \"Content-Length 5\"\n", false, 0},
    {"a control byte in a name", OK "a\001b: 5\r\n\r\n",
     "error malformed MIME header line: \"a\\u0001b: 5\"\n", false, 0},
    {"a control byte in a value", OK "a: \0015\r\n\r\n",
     "error malformed MIME header line: \"a: \\u00015\"\n", false, 0},
    {"a CR in a value", OK "a: b\rc\r\n\r\n",
     "error malformed MIME header line: \"a: b\\rc\"\n", false, 0},
    {"a space before the first field", OK " a: b\r\n\r\n",
     "error malformed MIME header initial line: \" a: b\"\n", false, 0},
    {"differing lengths", OK "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
     "error http: message cannot contain multiple Content-Length headers; got \"5\"\n", false, 5},
    {"negative length", OK "Content-Length: -5\r\n\r\n", "error bad Content-Length \"-5\"\n", false,
     0},
    {"empty length", OK "Content-Length:\r\n\r\n", "error bad Content-Length \"\"\n", false, 0},
    {"length with a sign", OK "Content-Length: +5\r\n\r\n", "error bad Content-Length \"+5\"\n",
     false, 0},
    {"length beyond 63 bits", OK "Content-Length: 9223372036854775808\r\n\r\n",
     "error bad Content-Length \"9223372036854775808\"\n", false, 0},
    {"unknown coding", OK "Transfer-Encoding: gzip, chunked\r\n\r\n",
     "error unsupported transfer encoding: \"gzip, chunked\"\n", false, 0},
    {"two codings", OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     "error too many transfer encodings: \"chunked\"\n", false, 0},
    BROKEN_CHUNK("x", "invalid byte in chunk length"),
    BROKEN_CHUNK("-", "invalid byte in chunk length"),
    BROKEN_CHUNK("5 ;", "invalid byte in chunk length"),
    BROKEN_CHUNK("\r", "empty hex number for chunk length"),
    BROKEN_CHUNK(";", "empty hex number for chunk length"),
    BROKEN_CHUNK("5\n", "chunked line ends with bare LF"),
    BROKEN_CHUNK("5;a\n", "chunked line ends with bare LF"),
    BROKEN_CHUNK("5\rx", "invalid CR in chunked line"),
    BROKEN_CHUNK("00000000000000001", "http chunk length too large"),
    {"data beyond the chunk", CHUNKED "1\r\nxy",
     HEAD_OK "body x\nerror malformed chunked encoding\n", false, 0},
};

static struct transcript start(const struct answer *answer)
{
    struct transcript transcript = {0};
    http_response_start(&transcript.response, answer->to_head_request);
    return transcript;
}

static void finish(struct transcript *transcript, const struct answer *answer, size_t cut)
{
    transcript_eof(transcript);
    if (strcmp(transcript->text.text, answer->expected) != 0)
        fail_msg("%s, cut at %zu:\n%s\ninstead of\n%s", answer->name, cut, transcript->text.text,
                 answer->expected);
    assert_int_equal(strlen(answer->bytes) - transcript->used, answer->left);
    transcript_fini(transcript);
}

static void reads_every_answer_as_expected_wherever_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct answer *answer = &answers[i];
        size_t len = strlen(answer->bytes);
        for (size_t cut = 0; cut <= len; cut++) {
            struct transcript transcript = start(answer);
            transcript_feed(&transcript, answer->bytes, cut);
            transcript_feed(&transcript, answer->bytes + cut, len - cut);
            finish(&transcript, answer, cut);
        }
        struct transcript transcript = start(answer);
        for (size_t at = 0; at < len; at++)
            transcript_feed(&transcript, answer->bytes + at, 1);
        finish(&transcript, answer, SIZE_MAX);
    }
}

/* Feeds an answer in pieces of `step` bytes and returns what was said of it. */
static char *said_of(const struct strbuf *bytes, size_t step)
{
    struct transcript transcript = {0};
    http_response_start(&transcript.response, false);
    for (size_t at = 0; at < bytes->len; at += step)
        transcript_feed(&transcript, bytes->text + at,
                        step < bytes->len - at ? step : bytes->len - at);
    char *text = strdup(transcript.text.text == NULL ? "" : transcript.text.text);
    transcript_fini(&transcript);
    return text;
}

static void expect(const struct strbuf *bytes, const char *expected)
{
    static const size_t steps[] = {1 << 20, 4096, 1000, 7, 1};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        char *text = said_of(bytes, steps[i]);
        assert_string_equal(text, expected);
        free(text);
    }
}

static void limits_the_head(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct strbuf bytes = STRBUF_GROWING;
        strbuf_adds(&bytes, OK "Content-Length: 0\r\nA: ");
        while (bytes.len < HTTP_HEAD_MAX - 4 + (size_t)over)
            strbuf_addc(&bytes, 'a');
        strbuf_adds(&bytes, "\r\n\r\n");
        expect(&bytes, over ? "error net/http: server response headers exceeded 65536 bytes\n"
                            : HEAD_OK "end keep\n");
        strbuf_fini(&bytes);
    }
}

static void limits_the_framing_of_chunks(void **state)
{
    (void)state;
    struct strbuf bytes = STRBUF_GROWING;
    strbuf_adds(&bytes, CHUNKED);
    for (int i = 0; i < 1000; i++)
        strbuf_adds(&bytes, "1;an extension that is longer than thirty bytes\r\nx\r\n");
    char *text = said_of(&bytes, 1);
    assert_non_null(strstr(text, "error chunked encoding contains too much non-data\n"));
    free(text);
    strbuf_fini(&bytes);

    strbuf_adds(&bytes, CHUNKED "1;");
    for (int i = 0; i < 5000; i++)
        strbuf_addc(&bytes, 'x');
    expect(&bytes, HEAD_OK "error header line too long\n");
    strbuf_fini(&bytes);

    strbuf_adds(&bytes, CHUNKED "0\r\nA: ");
    for (uint32_t i = 0; i < HTTP_HEAD_MAX; i++)
        strbuf_addc(&bytes, 'x');
    expect(&bytes, HEAD_OK "error http: suspiciously long trailer after chunked body\n");
    strbuf_fini(&bytes);
}

static void tiny_chunks_without_extensions_are_not_an_attack(void **state)
{
    (void)state;
    struct strbuf bytes = STRBUF_GROWING;
    strbuf_adds(&bytes, CHUNKED);
    for (int i = 0; i < 50000; i++)
        strbuf_adds(&bytes, "1\r\nx\r\n");
    strbuf_adds(&bytes, "0\r\n\r\n");
    char *text = said_of(&bytes, 4096);
    assert_non_null(strstr(text, "\nend keep\n"));
    free(text);
    strbuf_fini(&bytes);
}

static void reads_one_answer_after_another(void **state)
{
    (void)state;
    struct http_response response = {0};
    struct slice input = slice_of(OK "Content-Length: 1\r\n\r\na" CHUNKED "1\r\nb\r\n0\r\n\r\n");
    struct http_event event;
    for (const char *expected = "ab"; *expected != '\0'; expected++) {
        http_response_start(&response, false);
        assert_false(http_response_started(&response));
        assert_int_equal(http_response_next(&response, &input, &event), HTTP_HEAD);
        assert_int_equal(event.head.status, 200);
        assert_int_equal(http_response_next(&response, &input, &event), HTTP_BODY);
        assert_int_equal(event.body.len, 1);
        assert_int_equal(event.body.ptr[0], *expected);
        assert_int_equal(http_response_next(&response, &input, &event), HTTP_END);
        assert_true(http_response_started(&response));
    }
    assert_int_equal(input.len, 0);
    http_response_fini(&response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_answer_as_expected_wherever_it_is_cut),
        cmocka_unit_test(limits_the_head),
        cmocka_unit_test(limits_the_framing_of_chunks),
        cmocka_unit_test(tiny_chunks_without_extensions_are_not_an_attack),
        cmocka_unit_test(reads_one_answer_after_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
