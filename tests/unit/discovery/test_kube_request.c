/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an API server is asked for, word for word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "discovery/kube_request.h"

static const struct kube_wanted all_pods = {KUBE_PODS, "", "", ""};

static void assert_list(const struct kube_wanted *wanted, const char *continued, bool from_cache,
                        const char *expected)
{
    struct strbuf target = STRBUF_GROWING;
    kube_request_list(&target, wanted, continued, from_cache);
    assert_string_equal(target.text, expected);
    strbuf_fini(&target);
}

static void a_list_starts_from_the_cache_unless_that_was_too_old(void **state)
{
    (void)state;
    assert_list(&all_pods, "", true, "/api/v1/pods?limit=500&resourceVersion=0");
    assert_list(&all_pods, "", false, "/api/v1/pods?limit=500");
}

static void a_page_goes_on_where_the_one_before_ended(void **state)
{
    (void)state;
    assert_list(&all_pods, "a/b=", true, "/api/v1/pods?limit=500&continue=a%2Fb%3D");
    assert_list(&all_pods, "a", false, "/api/v1/pods?limit=500&continue=a");
}

static void only_what_has_a_namespace_is_looked_for_in_one(void **state)
{
    (void)state;
    const struct kube_wanted slices = {KUBE_ENDPOINTSLICES, "shop", "", ""};
    const struct kube_wanted nodes = {KUBE_NODES, "shop", "", ""};
    assert_list(&slices, "", false,
                "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?limit=500");
    assert_list(&nodes, "", false, "/api/v1/nodes?limit=500");
}

static void selectors_are_escaped(void **state)
{
    (void)state;
    const struct kube_wanted wanted = {KUBE_PODS, "", "app in (a,b)", "spec.nodeName=n&1"};
    assert_list(&wanted, "", false,
                "/api/v1/pods?labelSelector=app+in+%28a%2Cb%29&"
                "fieldSelector=spec.nodeName%3Dn%261&limit=500");
}

static void a_watch_wants_bookmarks_from_a_version_on(void **state)
{
    (void)state;
    struct strbuf target = STRBUF_GROWING;
    kube_request_watch(&target, &all_pods, "1234", 345);
    assert_string_equal(target.text, "/api/v1/pods?watch=true&allowWatchBookmarks=true&"
                                     "resourceVersion=1234&timeoutSeconds=345");
    strbuf_fini(&target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_starts_from_the_cache_unless_that_was_too_old),
        cmocka_unit_test(a_page_goes_on_where_the_one_before_ended),
        cmocka_unit_test(only_what_has_a_namespace_is_looked_for_in_one),
        cmocka_unit_test(selectors_are_escaped),
        cmocka_unit_test(a_watch_wants_bookmarks_from_a_version_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
