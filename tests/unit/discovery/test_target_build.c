/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target construction: label defaults, refusals with Prometheus' texts, URLs, identity, phase. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "discovery/target_build.h"

#define LABEL(text) SLICE_LITERAL(text)

static struct arena arena;

static struct config_job plain_job(void)
{
    return (struct config_job){
        .job_name = "node",
        .scrape_interval = 15000,
        .scrape_timeout = 10000,
        .metrics_path = "/metrics",
        .scheme = CONFIG_SCHEME_HTTP,
    };
}

static int build_with(const struct config_job *job, const char *address,
                      const struct label_set *group, struct built_target *ret, struct errctx *ctx)
{
    struct arena scratch = {0};
    struct relabel *relabel;
    assert_int_equal(relabel_compile(job->relabel_configs.items, job->relabel_configs.len,
                                     LABEL_SCHEME_UTF8, &relabel, ctx),
                     0);
    struct target_builder builder = {job, relabel, 7, &arena, &scratch};
    int err = target_build(&builder, slice_of(address), group, ret, ctx);
    relabel_free(relabel);
    arena_fini(&scratch);
    return err;
}

static void expect_refusal(const char *address, const char *name, const char *value,
                           const char *reason)
{
    struct config_job job = plain_job();
    struct label_set group = {0};
    struct built_target target;
    struct errctx ctx;
    if (name != NULL)
        label_set_put(&group, slice_of(name), slice_of(value));
    assert_int_equal(build_with(&job, address, &group, &target, &ctx), ERR_CONFIG);
    assert_string_equal(ctx.text, reason);
    label_set_fini(&group);
}

static void assert_label(const struct built_target *target, const char *name, const char *value)
{
    struct slice got = label_set_get(&target->labels, slice_of(name));
    if (!slice_is(got, value))
        fail_msg("label %s is \"%.*s\", not \"%s\"", name, SLICE_ARG(got), value);
}

static void a_plain_target_gets_job_and_instance(void **state)
{
    (void)state;
    struct config_job job = plain_job();
    struct label_set group = {0};
    struct built_target target;
    assert_int_equal(build_with(&job, "10.0.0.1:9100", &group, &target, NULL), 0);
    assert_int_equal(target.labels.count, 2);
    assert_label(&target, "job", "node");
    assert_label(&target, "instance", "10.0.0.1:9100");
    assert_true(slice_is(target.url, "http://10.0.0.1:9100/metrics"));
    assert_true(slice_is(target.path, "/metrics"));
    assert_true(slice_is(target.host, "10.0.0.1"));
    assert_int_equal(target.port, 9100);
    assert_int_equal(target.interval_ms, 15000);
    assert_int_equal(target.timeout_ms, 10000);
    assert_in_range(target.phase_ns, 0, 15 * NS_PER_S - 1);
    assert_int_not_equal(target.id, 0);
    label_set_fini(&target.labels);
}

static void group_labels_override_the_defaults(void **state)
{
    (void)state;
    struct config_job job = plain_job();
    struct label_set group = {0};
    struct built_target target;
    label_set_put(&group, slice_of("job"), slice_of("other"));
    label_set_put(&group, slice_of("instance"), slice_of("me"));
    label_set_put(&group, slice_of("empty"), slice_of(""));
    label_set_put(&group, slice_of("__scrape_interval__"), slice_of("1m30s"));
    label_set_put(&group, slice_of("__metrics_path__"), slice_of("/probe?x y"));
    label_set_put(&group, slice_of("__meta_filepath"), slice_of("/etc/x.json"));
    assert_int_equal(build_with(&job, "h", &group, &target, NULL), 0);
    assert_int_equal(target.labels.count, 2);
    assert_label(&target, "job", "other");
    assert_label(&target, "instance", "me");
    assert_int_equal(target.interval_ms, 90000);
    assert_true(slice_is(target.url, "http://h/probe%3Fx%20y"));
    assert_int_equal(target.port, 80);
    label_set_fini(&target.labels);
    label_set_fini(&group);
}

/* Who chooses a path and a label found this path and this label in three seconds, when identity was
 * XXH3: the target was taken for the other one, and not scraped, or the other one was not. */
static void no_target_can_be_made_to_be_taken_for_another(void **state)
{
    (void)state;
    struct config_job job = plain_job();
    struct label_set group = {0};
    struct label_set forged = {0};
    struct built_target target;
    struct built_target other;
    label_set_put(&forged, slice_of("__metrics_path__"),
                  slice_of("/_lRovYNzeliopLHqSIiEahGTxvmrb"));
    label_set_put(&forged, slice_of("zz"), slice_of("gzERuIiT"));
    assert_int_equal(build_with(&job, "10.0.0.1:80", &group, &target, NULL), 0);
    assert_int_equal(build_with(&job, "10.0.0.2:80", &forged, &other, NULL), 0);
    assert_true(target.id != other.id);
    label_set_fini(&target.labels);
    label_set_fini(&other.labels);
    label_set_fini(&forged);
}

static void an_empty_group_label_takes_the_default(void **state)
{
    (void)state;
    struct config_job job = plain_job();
    struct label_set group = {0};
    struct built_target target;
    label_set_put(&group, slice_of("job"), slice_of(""));
    assert_int_equal(build_with(&job, "h:1", &group, &target, NULL), 0);
    assert_label(&target, "job", "node");
    label_set_fini(&target.labels);
    label_set_fini(&group);
}

static void what_is_no_target_says_why(void **state)
{
    (void)state;
    expect_refusal("", NULL, NULL, "no address");
    expect_refusal("host/path", NULL, NULL, "\"host/path\" is not a valid hostname");
    expect_refusal("h:99999", NULL, NULL, "\"h:99999\" is not a valid address, want host:port");
    expect_refusal("::1", NULL, NULL, "\"::1\" is not a valid address, want host:port");
    expect_refusal("h:1", "__scrape_interval__", "soon",
                   "error parsing scrape interval: not a valid duration: \"soon\"");
    expect_refusal("h:1", "__scrape_interval__", "0", "scrape interval cannot be 0");
    expect_refusal("h:1", "__scrape_timeout__", "0s", "scrape timeout cannot be 0");
    expect_refusal("h:1", "__scrape_timeout__", "16s",
                   "scrape timeout cannot be greater than scrape interval (\"16s\" > \"15s\")");
    expect_refusal("h:1", "__scheme__", "ftp", "unsupported scheme: \"ftp\"");
    expect_refusal("h:1", "__sample_limit__", "1e3", "__sample_limit__ \"1e3\" is not a number");
    expect_refusal("h:1", "team", "\xff", "invalid label value for \"team\": not UTF-8");
}

static void a_target_may_have_a_sample_limit_of_its_own(void **state)
{
    struct config_job job = plain_job();
    struct label_set group = {0};
    struct built_target target;
    struct errctx ctx;
    (void)state;
    label_set_put(&group, SLICE_LITERAL("__sample_limit__"), SLICE_LITERAL("250"));
    assert_int_equal(build_with(&job, "h:1", &group, &target, &ctx), 0);
    assert_int_equal(target.sample_limit, 250);
    label_set_fini(&target.labels);
    label_set_fini(&group);
}

static void params_make_the_query(void **state)
{
    (void)state;
    static const char *const a_values[] = {"1", "2 3"};
    static const char *const m_values[] = {"x&y"};
    static const struct config_param params[] = {{"a", {a_values, 2}}, {"m", {m_values, 1}}};
    struct config_job job = plain_job();
    job.params = (struct config_params){params, 2};
    struct label_set group = {0};
    struct built_target target;
    label_set_put(&group, slice_of("__param_m"), slice_of("z"));
    label_set_put(&group, slice_of("__param_k"), slice_of("\xc3\xa9"));
    assert_int_equal(build_with(&job, "[::1]:8080", &group, &target, NULL), 0);
    assert_true(slice_is(target.path, "/metrics?a=1&a=2+3&k=%C3%A9&m=z"));
    assert_true(slice_is(target.url, "http://[::1]:8080/metrics?a=1&a=2+3&k=%C3%A9&m=z"));
    assert_true(slice_is(target.host, "::1"));
    assert_int_equal(target.port, 8080);
    label_set_fini(&target.labels);
    label_set_fini(&group);
}

static void a_unix_socket_needs_no_address(void **state)
{
    (void)state;
    struct config_job job = plain_job();
    struct label_set group = {0};
    struct built_target target;
    label_set_put(&group, slice_of("__unix_socket__"), slice_of("/run/x.sock"));
    assert_int_equal(build_with(&job, "", &group, &target, NULL), 0);
    assert_true(slice_is(target.socket, "/run/x.sock"));
    assert_true(slice_is(target.url, "http://localhost/metrics"));
    assert_label(&target, "instance", "localhost");
    assert_int_equal(target.labels.count, 2);
    label_set_fini(&target.labels);
    assert_int_equal(build_with(&job, "h:1", &group, &target, NULL), 0);
    assert_true(slice_is(target.socket, "/run/x.sock"));
    assert_true(slice_is(target.url, "http://h:1/metrics"));
    label_set_fini(&target.labels);
    label_set_fini(&group);
}

static void identity_ignores_meta_labels_and_nothing_else(void **state)
{
    (void)state;
    struct config_job job = plain_job();
    struct label_set group = {0};
    struct built_target plain, meta, module;
    assert_int_equal(build_with(&job, "h:1", &group, &plain, NULL), 0);
    label_set_put(&group, slice_of("__meta_pod"), slice_of("p"));
    assert_int_equal(build_with(&job, "h:1", &group, &meta, NULL), 0);
    label_set_put(&group, slice_of("__param_module"), slice_of("m"));
    assert_int_equal(build_with(&job, "h:1", &group, &module, NULL), 0);
    assert_true(plain.id == meta.id);
    assert_true(plain.phase_ns == meta.phase_ns);
    assert_true(plain.id != module.id);
    label_set_fini(&plain.labels);
    label_set_fini(&meta.labels);
    label_set_fini(&module.labels);
    label_set_fini(&group);
}

static void the_seed_depends_on_host_and_external_labels(void **state)
{
    (void)state;
    static const struct config_pair pair = {"cluster", "a"};
    struct config_map none = {0};
    struct config_map one = {&pair, 1};
    assert_true(target_seed("host1", &none) == target_seed("host1", &none));
    assert_true(target_seed("host1", &none) != target_seed("host2", &none));
    assert_true(target_seed("host1", &none) != target_seed("host1", &one));
}

static int free_arena(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct relabel_config rule(enum relabel_action action, const char *source, const char *regex,
                                  const char *target_label, const char *replacement)
{
    const char **sources = arena_alloc(&arena, sizeof(*sources));
    sources[0] = source;
    return (struct relabel_config){.action = action,
                                   .source_labels = {sources, source != NULL},
                                   .separator = ";",
                                   .regex = regex,
                                   .target_label = target_label,
                                   .replacement = replacement};
}

static void rules_see_all_labels_and_decide_what_is_scraped(void **state)
{
    (void)state;
    const struct relabel_config rules[] = {
        rule(RELABEL_KEEP, "__meta_scrape", "true", "", "$1"),
        rule(RELABEL_REPLACE, "__address__", "(.+):80", "__address__", "$1:9100"),
        rule(RELABEL_REPLACE, "__meta_path", "(.+)", "__metrics_path__", "$1"),
        rule(RELABEL_REPLACE, NULL, "(.*)", "__scrape_interval__", "5s"),
        rule(RELABEL_REPLACE, NULL, "(.*)", "__scrape_timeout__", "4s"),
        rule(RELABEL_REPLACE, NULL, "(.*)", "__param_module", "x y"),
        rule(RELABEL_LABELMAP, NULL, "__meta_label_(.+)", "", "$1"),
        rule(RELABEL_LABELDROP, NULL, "job", "", "$1"),
    };
    struct config_job job = plain_job();
    struct label_set group = {0};
    struct built_target target;
    job.relabel_configs = (struct config_relabels){rules, sizeof(rules) / sizeof(rules[0])};
    label_set_put(&group, LABEL("__meta_scrape"), LABEL("true"));
    label_set_put(&group, LABEL("__meta_path"), LABEL("/x"));
    label_set_put(&group, LABEL("__meta_label_app"), LABEL("web"));
    label_set_put(&group, LABEL("__meta_label_instance"), LABEL(""));
    assert_int_equal(build_with(&job, "10.0.0.1:80", &group, &target, NULL), 0);
    assert_true(slice_is(target.url, "http://10.0.0.1:9100/x?module=x+y"));
    assert_int_equal(target.interval_ms, 5000);
    assert_int_equal(target.timeout_ms, 4000);
    assert_int_equal(target.labels.count, 2);
    assert_label(&target, "app", "web");
    assert_label(&target, "instance", "10.0.0.1:9100");
    label_set_fini(&target.labels);
    label_set_put(&group, LABEL("__meta_scrape"), LABEL("false"));
    assert_int_equal(build_with(&job, "10.0.0.1:80", &group, &target, NULL), TARGET_DROPPED);
    label_set_fini(&group);
}

static void expect_refusal_after(struct relabel_config one, const char *reason)
{
    struct config_job job = plain_job();
    struct label_set group = {0};
    struct built_target target;
    struct errctx why = {""};
    job.relabel_configs = (struct config_relabels){&one, 1};
    assert_int_equal(build_with(&job, "h:1", &group, &target, &why), ERR_CONFIG);
    assert_string_equal(why.text, reason);
}

static void rules_may_leave_what_is_no_target(void **state)
{
    (void)state;
    expect_refusal_after(rule(RELABEL_LABELKEEP, NULL, "job", "", "$1"), "no address");
    expect_refusal_after(rule(RELABEL_REPLACE, NULL, "(.*)", "__address__", "http://h/"),
                         "\"http://h/\" is not a valid hostname");
    expect_refusal_after(rule(RELABEL_REPLACE, NULL, "(.*)", "__scrape_interval__", "5"),
                         "error parsing scrape interval: not a valid duration: \"5\"");
    expect_refusal_after(
        rule(RELABEL_REPLACE, NULL, "(.*)", "__scrape_timeout__", "1h"),
        "scrape timeout cannot be greater than scrape interval (\"1h\" > \"15s\")");
    expect_refusal_after(
        rule(RELABEL_REPLACE, NULL, "(.*)", "__scrape_native_histograms__", "yes"),
        "error parsing __scrape_native_histograms__: \"yes\" is neither true nor false");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_target_gets_job_and_instance),
        cmocka_unit_test(a_target_may_have_a_sample_limit_of_its_own),
        cmocka_unit_test(group_labels_override_the_defaults),
        cmocka_unit_test(no_target_can_be_made_to_be_taken_for_another),
        cmocka_unit_test(an_empty_group_label_takes_the_default),
        cmocka_unit_test(what_is_no_target_says_why),
        cmocka_unit_test(params_make_the_query),
        cmocka_unit_test(a_unix_socket_needs_no_address),
        cmocka_unit_test(identity_ignores_meta_labels_and_nothing_else),
        cmocka_unit_test(rules_see_all_labels_and_decide_what_is_scraped),
        cmocka_unit_test(rules_may_leave_what_is_no_target),
        cmocka_unit_test(the_seed_depends_on_host_and_external_labels),
    };
    return cmocka_run_group_tests(tests, NULL, free_arena);
}
