/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "net/tls/certificate.h"

#define NOW 1700000000 /* 2023-11-14T22:13:20Z */

/* GeneralNames: a.test, *.b.test, 192.0.2.1, 2001:db8::1. */
static const char names[] = "\x82\x06"
                            "a.test"
                            "\x82\x08"
                            "*.b.test"
                            "\x87\x04\xc0\x00\x02\x01"
                            "\x87\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";

static struct certificate with(struct slice list)
{
    return (struct certificate){
        .not_before = NOW - 10, .not_after = NOW + 10, .names = list, .has_names = true};
}

static void expect(const struct certificate *certificate, const char *host, const char *why)
{
    char text[512] = "";
    bool fits = certificate_fits(certificate, slice_of(host), NOW, text, sizeof(text));
    assert_string_equal(text, why);
    assert_int_equal(fits, why[0] == '\0');
}

static void takes_names_in_any_case_and_with_a_final_dot(void **state)
{
    (void)state;
    struct certificate certificate = with(slice_make(names, sizeof(names) - 1));
    expect(&certificate, "a.test", "");
    expect(&certificate, "A.Test", "");
    expect(&certificate, "a.test.", "");
    expect(&certificate, "x.b.test", "");
    expect(&certificate, "192.0.2.1", "");
    expect(&certificate, "2001:DB8:0::1", "");
}

static void lets_a_star_stand_for_one_label(void **state)
{
    (void)state;
    struct certificate certificate = with(SLICE_LITERAL("\x82\x08*.b.test\x82\x01*"));
    expect(&certificate, "x.b.test", "");
    static const char *const hosts[] = {"b.test", "x.y.b.test", ".b.test", "xb.test", "x"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        char why[128];
        snprintf(why, sizeof(why), "x509: certificate is valid for *.b.test, *, not %s", hosts[i]);
        expect(&certificate, hosts[i], why);
    }
}

static void does_not_mix_names_and_addresses(void **state)
{
    (void)state;
    struct certificate name = with(SLICE_LITERAL("\x82\x09"
                                                 "192.0.2.1"));
    expect(
        &name, "192.0.2.1",
        "x509: cannot validate certificate for 192.0.2.1 because it doesn't contain any IP SANs");
    struct certificate both = with(slice_make(names, sizeof(names) - 1));
    expect(&both, "192.0.2.2",
           "x509: certificate is valid for 192.0.2.1, 2001:db8::1, not 192.0.2.2");
    expect(&both, "c.test", "x509: certificate is valid for a.test, *.b.test, not c.test");
}

static void is_not_fooled_by_nul_bytes(void **state)
{
    (void)state;
    struct certificate certificate = with(slice_make("\x82\x0b"
                                                     "a.test\0.bad",
                                                     13));
    expect(&certificate, "a.test", "x509: certificate is valid for a.test?.bad, not a.test");
}

static void keeps_to_the_time(void **state)
{
    (void)state;
    struct certificate certificate = with(slice_make(names, sizeof(names) - 1));
    certificate.not_after = NOW;
    expect(&certificate, "a.test", "");
    certificate.not_after = NOW - 1;
    expect(&certificate, "other",
           "x509: certificate has expired or is not yet valid: current time "
           "2023-11-14T22:13:20Z is after 2023-11-14T22:13:19Z");
    certificate.not_before = NOW + 1;
    expect(&certificate, "a.test",
           "x509: certificate has expired or is not yet valid: current time "
           "2023-11-14T22:13:20Z is before 2023-11-14T22:13:21Z");
}

static void names_no_more_than_a_hundred(void **state)
{
    (void)state;
    char list[200 * 3];
    for (size_t i = 0; i < 200; i++)
        memcpy(list + 3 * i, "\x82\x01x", 3);
    struct certificate certificate = with(slice_make(list, sizeof(list)));
    char text[1024];
    assert_false(certificate_fits(&certificate, SLICE_LITERAL("y"), NOW, text, sizeof(text)));
    assert_int_equal(strlen(text), strlen("x509: certificate is valid for , not y") + 100 * 3 - 2);
}

static void knows_identities_of_spiffe(void **state)
{
    (void)state;
#define IDENTITY "\x86\x25spiffe://cluster.local/ns/shop/sa/web"
    struct certificate certificate = with(SLICE_LITERAL("\x82\x01x" IDENTITY));
    expect(&certificate, "spiffe://cluster.local/ns/shop/sa/web", "");
    expect(&certificate, "spiffe://cluster.local/ns/*/sa/*", "");
    expect(&certificate, "x", "");
    static const char *const others[] = {"spiffe://cluster.local/ns/shop/sa/we",
                                         "spiffe://cluster.local/ns/shop/sa",
                                         "spiffe://cluster.local/ns/shop/sa/web/",
                                         "spiffe://cluster.local/ns/shop/sa/web/x",
                                         "spiffe://other.local/ns/shop/sa/web",
                                         "spiffe://*/ns/shop/sa/web",
                                         "spiffe://cluster.local/*",
                                         "spiffe://cluster.local/ns/sh*/sa/web",
                                         "spiffe://cluster.local",
                                         "spiffe://",
                                         "spiffe://cluster.local/ns/shop/sa/WEB"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char why[256];
        snprintf(why, sizeof(why),
                 "x509: certificate is of spiffe://cluster.local/ns/shop/sa/web, not the one "
                 "identity %s",
                 others[i]);
        expect(&certificate, others[i], why);
    }
    struct certificate none = with(slice_make(names, sizeof(names) - 1));
    expect(&none, "spiffe://a.test",
           "x509: certificate has no URI SAN, not the one identity "
           "spiffe://a.test");
    struct certificate two = with(SLICE_LITERAL(IDENTITY "\x86\x0cspiffe://a/b"));
    expect(&two, "spiffe://a/b",
           "x509: certificate is of spiffe://cluster.local/ns/shop/sa/web, spiffe://a/b, not the "
           "one identity spiffe://a/b");
}

static void refuses_what_is_no_certificate(void **state)
{
    (void)state;
    static const struct slice wrong[] = {
        {"", 0},
        {"\x30", 1},
        {"\x30\x80", 2},
        {"\x30\x84\xff\xff\xff\xff", 6},
        {"\x30\x02\x30\x00", 4},
        {"-----BEGIN CERTIFICATE-----", 27},
    };
    struct certificate certificate;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(certificate_read(wrong[i], &certificate), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_names_in_any_case_and_with_a_final_dot),
        cmocka_unit_test(lets_a_star_stand_for_one_label),
        cmocka_unit_test(does_not_mix_names_and_addresses),
        cmocka_unit_test(is_not_fooled_by_nul_bytes),
        cmocka_unit_test(keeps_to_the_time),
        cmocka_unit_test(names_no_more_than_a_hundred),
        cmocka_unit_test(knows_identities_of_spiffe),
        cmocka_unit_test(refuses_what_is_no_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
