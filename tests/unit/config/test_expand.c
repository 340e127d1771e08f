/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/expand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* Every variable's value is its name in brackets, so that the test sees what was looked up. */
static void bracket(void *context, struct slice name, struct strbuf *out)
{
    (void)context;
    strbuf_addf(out, "[%.*s]", SLICE_ARG(name));
}

static void names_are_found_as_go_finds_them(void **state)
{
    static const struct {
        const char *text;
        const char *expanded;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"$HOST", "[HOST]"},
        {"${HOST}", "[HOST]"},
        {"a-$HOST-b", "a-[HOST]-b"},
        {"${A}${B}", "[A][B]"},
        {"$A$B_1", "[A][B_1]"},
        {"$$", "$"},
        {"$$HOME", "$HOME"},
        {"${$}", "$"},
        {"$1x", "[1]x"},
        {"$*", "[*]"},
        {"${1}", "[1]"},
        {"${a-b c}", "[a-b c]"},
        {"cost: 5$", "cost: 5$"},
        {"$.", "$."},
        {"${}x", "x"},
        {"${open", "open"},
        {"${", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct strbuf out = STRBUF_GROWING;
        strbuf_adds(&out, "");
        expand_text(cases[i].text, bracket, NULL, &out);
        assert_string_equal(out.text, cases[i].expanded);
        strbuf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_as_go_finds_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
