/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lists and events do to a store; when the next request comes after which failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/hash.h"
#include "discovery/kube_pace.h"
#include "discovery/kube_record.h"
#include "discovery/kube_store.h"

static enum kube_change put(struct kube_store *store, const char *ns, const char *name,
                            const char *phase)
{
    struct strbuf record = STRBUF_GROWING;
    kube_record_add(&record, KUBE_NAME, SLICE_LITERAL(""), slice_of(name));
    kube_record_add(&record, KUBE_NAMESPACE, SLICE_LITERAL(""), slice_of(ns));
    kube_record_add(&record, KUBE_PHASE, SLICE_LITERAL(""), slice_of(phase));
    enum kube_change change = kube_store_put(store, slice_make(record.text, record.len));
    strbuf_fini(&record);
    return change;
}

static enum kube_change drop(struct kube_store *store, const char *ns, const char *name)
{
    struct strbuf record = STRBUF_GROWING;
    kube_record_add(&record, KUBE_NAME, SLICE_LITERAL(""), slice_of(name));
    kube_record_add(&record, KUBE_NAMESPACE, SLICE_LITERAL(""), slice_of(ns));
    enum kube_change change = kube_store_remove(store, slice_make(record.text, record.len));
    strbuf_fini(&record);
    return change;
}

static bool is_phase(const struct kube_store *store, const char *ns, const char *name,
                     const char *phase)
{
    struct slice record = kube_store_find(store, slice_of(ns), slice_of(name));
    return slice_is(kube_record_get(record, KUBE_PHASE), phase);
}

static void only_what_differs_is_a_change(void **state)
{
    struct kube_store store = {0};
    (void)state;
    assert_int_equal(drop(&store, "a", "p"), KUBE_UNCHANGED);
    assert_int_equal(put(&store, "a", "p", "Pending"), KUBE_ADDED);
    assert_int_equal(put(&store, "a", "p", "Pending"), KUBE_UNCHANGED);
    assert_int_equal(put(&store, "a", "p", "Running"), KUBE_UPDATED);
    assert_int_equal(put(&store, "b", "p", "Running"), KUBE_ADDED);
    assert_true(is_phase(&store, "a", "p", "Running"));
    assert_int_equal(drop(&store, "a", "p"), KUBE_DELETED);
    assert_false(is_phase(&store, "a", "p", "Running"));
    assert_int_equal(store.objects.count, 1);
    kube_store_fini(&store);
}

/* Names whose hashes without a seed end alike. */
static void names_cannot_be_made_to_meet_in_a_bucket(void **state)
{
    enum { NAMES = 64 };
    struct kube_store store = {0};
    const uint64_t start = hash64("a", 1, 0);
    (void)state;
    for (uint32_t found = 0, number = 0; found < NAMES; number++) {
        char name[16];
        size_t len = (size_t)snprintf(name, sizeof(name), "%u", number);
        if (hash64(name, len, start) % NAMES != 0)
            continue;
        assert_int_equal(put(&store, "a", name, "Running"), KUBE_ADDED);
        found++;
    }
    assert_true(store.objects.mask + 1 >= NAMES / 2);
    for (size_t i = 0; i <= store.objects.mask; i++) {
        uint32_t length = 0;
        for (const struct hash_entry *entry = store.objects.buckets[i]; entry != NULL;
             entry = entry->next)
            length++;
        assert_in_range(length, 0, NAMES / 4);
    }
    kube_store_fini(&store);
}

static void a_list_replaces_what_was_there(void **state)
{
    struct kube_store store = {0};
    char name[16];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "p-%d", i);
        put(&store, "a", name, "Running");
    }
    kube_store_begin(&store);
    for (int i = 0; i < 1000; i += 3) {
        snprintf(name, sizeof(name), "p-%d", i);
        assert_int_equal(put(&store, "a", name, "Running"), KUBE_UNCHANGED);
    }
    assert_int_equal(put(&store, "a", "new", "Running"), KUBE_ADDED);
    assert_int_equal(kube_store_sweep(&store), 666);
    size_t seen = 0;
    const struct kube_object *object = NULL;
    while ((object = kube_store_next(&store, object)) != NULL)
        seen++;
    assert_int_equal(seen, 335);
    assert_int_equal(store.objects.count, 335);
    kube_store_fini(&store);
    assert_int_equal(store.bytes, 0);
}

static bool is_running(struct slice record)
{
    return slice_is(kube_record_get(record, KUBE_PHASE), "Running");
}

static void assert_names(const struct kube_records *records, const char *const *names)
{
    size_t count = 0;
    for (; names[count] != NULL; count++) {
        struct strbuf name = STRBUF_GROWING;
        assert_true(count < records->len);
        kube_record_add_full_name(&name, records->items[count]);
        assert_string_equal(name.text, names[count]);
        strbuf_fini(&name);
    }
    assert_int_equal(records->len, count);
}

static void records_of_several_stores_come_in_one_order(void **state)
{
    static const char *const all[] = {"a/b", "a/p", "a/q", "b/a", "b/p", NULL};
    static const char *const running[] = {"a/p", "b/a", NULL};
    struct kube_store stores[2] = {{0}};
    struct kube_records records = {0};
    (void)state;
    kube_records_sort(&records);
    assert_int_equal(records.len, 0);
    put(&stores[0], "b", "a", "Running");
    put(&stores[0], "a", "q", "Pending");
    put(&stores[0], "a", "b", "Pending");
    put(&stores[1], "b", "p", "Pending");
    put(&stores[1], "a", "p", "Running");
    for (int i = 0; i < 2; i++)
        kube_records_add(&records, &stores[i], NULL);
    kube_records_sort(&records);
    assert_names(&records, all);
    kube_records_fini(&records);
    for (int i = 0; i < 2; i++)
        kube_records_add(&records, &stores[i], is_running);
    kube_records_sort(&records);
    assert_names(&records, running);
    kube_records_fini(&records);
    for (int i = 0; i < 2; i++)
        kube_store_fini(&stores[i]);
}

static void records_hold_what_was_put_in_them(void **state)
{
    struct strbuf text = STRBUF_GROWING;
    struct kube_entry entry;
    char large[300];
    (void)state;
    memset(large, 'x', sizeof(large));
    size_t subset = kube_record_begin(&text, KUBE_SUBSET);
    size_t port = kube_record_begin(&text, KUBE_PORT);
    kube_record_add(&text, KUBE_NAME, SLICE_LITERAL(""), slice_make(large, sizeof(large)));
    kube_record_end(&text, port);
    kube_record_end(&text, subset);
    kube_record_add(&text, KUBE_LABEL, SLICE_LITERAL("key"), SLICE_LITERAL("value"));
    struct slice rest = slice_make(text.text, text.len);
    assert_true(slice_is(kube_record_get_key(rest, KUBE_LABEL, SLICE_LITERAL("key")), "value"));
    assert_int_equal(kube_record_count(rest, KUBE_SUBSET), 1);
    assert_true(kube_record_next(&rest, &entry));
    assert_int_equal(entry.field, KUBE_SUBSET);
    struct slice inner = entry.inner;
    assert_true(kube_record_find(&inner, KUBE_PORT, &entry));
    assert_int_equal(kube_record_get(entry.inner, KUBE_NAME).len, sizeof(large));
    assert_true(kube_record_next(&rest, &entry));
    assert_true(slice_is(entry.key, "key"));
    assert_false(kube_record_next(&rest, &entry));
    strbuf_fini(&text);
}

static void pauses_double_and_are_forgiven(void **state)
{
    struct kube_backoff backoff = {0};
    int64_t now = 1000 * NS_PER_S;
    (void)state;
    assert_int_equal(kube_backoff_fail(&backoff, now, 0), 800 * NS_PER_MS);
    assert_int_equal(kube_backoff_fail(&backoff, now, 0), 1600 * NS_PER_MS);
    assert_int_equal(kube_backoff_fail(&backoff, now, 5), 3200 * NS_PER_MS + 5);
    for (int i = 0; i < 100; i++)
        assert_in_range(kube_backoff_fail(&backoff, now, UINT64_MAX), 1, 60 * NS_PER_S);
    assert_int_equal(kube_backoff_fail(&backoff, now, 0), 30 * NS_PER_S);
    assert_int_equal(kube_backoff_fail(&backoff, now + 121 * NS_PER_S, 0), 800 * NS_PER_MS);
}

static void what_is_gone_is_listed_at_a_time_of_chance(void **state)
{
    struct kube_backoff backoff = {0};
    (void)state;
    assert_int_equal(kube_backoff_gone(&backoff, NS_PER_S, 7), 7);
    assert_in_range(kube_backoff_gone(&backoff, NS_PER_S, NS_PER_S + 5), NS_PER_S, 2 * NS_PER_S);
}

static void requests_are_limited_after_a_burst(void **state)
{
    struct kube_limit limit = {0};
    int64_t now = 1000 * NS_PER_S;
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(kube_limit_reserve(&limit, now), now);
    assert_int_equal(kube_limit_reserve(&limit, now), now + 200 * NS_PER_MS);
    assert_int_equal(kube_limit_reserve(&limit, now), now + 400 * NS_PER_MS);
    assert_int_equal(kube_limit_reserve(&limit, now + 10 * NS_PER_S), now + 10 * NS_PER_S);
}

#define TEST(name) cmocka_unit_test(name)

static void what_a_server_asks_for_is_the_least_pause(void **state)
{
    (void)state;
    const int64_t s = NS_PER_S;
    assert_int_equal(kube_backoff_asked(s, SLICE_LITERAL(""), 1), s);
    assert_int_equal(kube_backoff_asked(s, SLICE_LITERAL("soon"), 1), s);
    assert_int_equal(kube_backoff_asked(s, SLICE_LITERAL("-3"), 1), s);
    assert_int_equal(kube_backoff_asked(s, SLICE_LITERAL("3"), 0), 3 * s);
    assert_int_equal(kube_backoff_asked(s, SLICE_LITERAL("3"), 7), 3 * s + 7);
    assert_int_equal(kube_backoff_asked(5 * s, SLICE_LITERAL("3"), 0), 5 * s);
    assert_int_equal(kube_backoff_asked(s, SLICE_LITERAL("99999999999999999999"), 0), 300 * s);
    assert_in_range(kube_backoff_asked(s, SLICE_LITERAL("10"), UINT64_MAX), 10 * s, 15 * s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_a_server_asks_for_is_the_least_pause),   TEST(only_what_differs_is_a_change),
        TEST(names_cannot_be_made_to_meet_in_a_bucket),    TEST(a_list_replaces_what_was_there),
        TEST(records_hold_what_was_put_in_them),           TEST(pauses_double_and_are_forgiven),
        TEST(what_is_gone_is_listed_at_a_time_of_chance),  TEST(requests_are_limited_after_a_burst),
        TEST(records_of_several_stores_come_in_one_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
