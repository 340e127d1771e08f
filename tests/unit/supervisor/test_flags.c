/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct options options;
static struct errctx why;

/* Parses the words of a command line; they are separated by single blanks. */
static int parse(const char *line)
{
    static char words[1024];
    static char *argv[64];
    char *rest = NULL;
    int argc = 1;
    argv[0] = words;
    snprintf(words, sizeof(words), "%s", line);
    for (char *word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    why.text[0] = '\0';
    return flags_parse(argc, argv, &options, &why);
}

static void refused(const char *line, int status, const char *text)
{
    assert_int_equal(parse(line), status);
    assert_string_equal(why.text, text);
}

static void without_flags_there_are_defaults(void **context)
{
    (void)context;
    assert_int_equal(parse(""), 0);
    assert_string_equal(options.config_file, "prometheus.yml");
    assert_null(options.storage_path);
    assert_null(options.runtime_path);
    assert_int_equal(options.listen_count, 1);
    assert_string_equal(options.listen[0], "127.0.0.1:9431");
    assert_false(options.lifecycle);
    assert_int_equal(options.flush_deadline_ms, 60000);
    assert_int_equal(options.log_level, LOG_LEVEL_INFO);
    assert_int_equal(options.log_format, LOG_FORMAT_LOGFMT);
    assert_false(options.help || options.version);
    assert_int_equal(options.noted_count, 0);
}

static void what_is_built_in_goes_without_a_file(void **context)
{
    (void)context;
    assert_int_equal(parse("--kubernetes --remote-write.url=http://x"), 0);
    assert_true(options.kubernetes);
    assert_string_equal(options.remote_write_url, "http://x");
    assert_int_equal(parse("--no-kubernetes"), 0);
    assert_false(options.kubernetes);
    refused("--kubernetes", EXIT_USAGE,
            "--kubernetes wants to know where samples go: --remote-write.url");
    refused("--kubernetes --config.file=a --remote-write.url=b", EXIT_USAGE,
            "--kubernetes and --config.file exclude each other");
    refused("--remote-write.url=b", EXIT_USAGE,
            "--remote-write.url goes with --kubernetes; else the file says where samples go");
}

static void a_value_stands_behind_an_equals_sign_or_in_the_next_word(void **context)
{
    (void)context;
    assert_int_equal(parse("--config.file=a.yml --storage.path b --runtime.path=c"), 0);
    assert_string_equal(options.config_file, "a.yml");
    assert_string_equal(options.storage_path, "b");
    assert_string_equal(options.runtime_path, "c");
    assert_int_equal(parse("-config.file=a=b --log.level debug --log.format=json"), 0);
    assert_string_equal(options.config_file, "a=b");
    assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(options.log_format, LOG_FORMAT_JSON);
}

static void the_agent_path_is_the_storage_path(void **context)
{
    (void)context;
    assert_int_equal(parse("--storage.agent.path=data-agent/"), 0);
    assert_string_equal(options.storage_path, "data-agent/");
}

static void switches_can_be_negated(void **context)
{
    (void)context;
    assert_int_equal(parse("--web.enable-lifecycle"), 0);
    assert_true(options.lifecycle);
    assert_int_equal(parse("--web.enable-lifecycle=true"), 0);
    assert_true(options.lifecycle);
    assert_int_equal(parse("--no-web.enable-lifecycle"), 0);
    assert_false(options.lifecycle);
    assert_int_equal(parse("--web.enable-lifecycle=false"), 0);
    assert_false(options.lifecycle);
    assert_int_equal(parse("-h"), 0);
    assert_true(options.help);
    assert_int_equal(parse("--version"), 0);
    assert_true(options.version);
    refused("--web.enable-lifecycle=maybe", EXIT_USAGE,
            "--web.enable-lifecycle: maybe is not a valid value; it must be true or false");
}

static void listeners_may_be_several_up_to_a_limit(void **context)
{
    (void)context;
    assert_int_equal(parse("--web.listen-address=:1 --web.listen-address=[::1]:2"), 0);
    assert_int_equal(options.listen_count, 2);
    assert_string_equal(options.listen[0], ":1");
    assert_string_equal(options.listen[1], "[::1]:2");
    char line[512] = "";
    for (int i = 0; i < HERITAGE_MAX_LISTENERS; i++)
        strncat(line, "--web.listen-address=:1 ", sizeof(line) - strlen(line) - 1);
    assert_int_equal(parse(line), 0);
    strncat(line, "--web.listen-address=:1", sizeof(line) - strlen(line) - 1);
    assert_int_equal(parse(line), EXIT_USAGE);
}

static void durations_are_those_of_the_file(void **context)
{
    (void)context;
    assert_int_equal(parse("--storage.remote.flush-deadline=1m30s"), 0);
    assert_int_equal(options.flush_deadline_ms, 90000);
    refused("--storage.remote.flush-deadline=soon", EXIT_USAGE,
            "--storage.remote.flush-deadline: soon is not a valid value; it must be a duration "
            "such as 1m30s");
}

static void other_flags_come_once(void **context)
{
    (void)context;
    refused("--config.file=a --config.file=b", EXIT_USAGE, "--config.file cannot be repeated");
    refused("--agent --agent", EXIT_USAGE, "--agent cannot be repeated");
}

static void a_misspelt_flag_names_the_nearest(void **context)
{
    (void)context;
    refused("--config.fil=a", EXIT_USAGE,
            "unknown flag --config.fil; the nearest valid flag is --config.file");
    refused("--web.listen-addres :1", EXIT_USAGE,
            "unknown flag --web.listen-addres; the nearest valid flag is --web.listen-address");
    refused("--no-config.file", EXIT_USAGE,
            "unknown flag --no-config.file; the nearest valid flag is --config.file");
}

static void what_cannot_be_a_flag_is_refused(void **context)
{
    (void)context;
    refused("run", EXIT_USAGE, "unexpected argument run; see limpet --help");
    refused("--", EXIT_USAGE, "unexpected argument --; see limpet --help");
    refused("-", EXIT_USAGE, "unexpected argument -; see limpet --help");
    refused("--log.level", EXIT_USAGE, "--log.level wants a value");
    refused("--log.level=loud", EXIT_USAGE,
            "--log.level: loud is not a valid value; it must be debug, info, warn or error");
    refused("--config.file=", EXIT_USAGE,
            "--config.file: \"\" is not a valid value; it must be a text that is not empty");
}

static void server_only_flags_have_a_status_of_their_own(void **context)
{
    (void)context;
    static const char *const lines[] = {"--storage.tsdb.path=data",
                                        "--storage.tsdb.retention.time 15d",
                                        "--storage.remote.read-sample-limit",
                                        "--query.timeout=2m",
                                        "--query.max-concurrency 20",
                                        "--rules.alert.for-grace-period=1m",
                                        "--alertmanager.notification-queue-capacity=1"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(parse(lines[i]), EXIT_SERVER_ONLY);
        assert_non_null(strstr(why.text, "is for a Prometheus server only"));
    }
    refused("--query.timeout=2m", EXIT_SERVER_ONLY,
            "--query.timeout=2m is for a Prometheus server only: limpet cannot be queried");
}

static void what_is_true_anyway_needs_no_word(void **context)
{
    (void)context;
    assert_int_equal(parse("--agent --enable-feature=agent"), 0);
    assert_int_equal(options.noted_count, 0);
}

static void flags_without_use_are_noted_once(void **context)
{
    (void)context;
    assert_int_equal(parse("--storage.agent.wal-compression --enable-feature=agent,st-storage "
                           "--enable-feature=metadata-wal-records --web.read-timeout=5m "
                           "--storage.agent.retention.max-time 4h"),
                     0);
    assert_int_equal(options.noted_count, 4);
    assert_string_equal(options.noted[0]->name, "storage.agent.wal-compression");
    assert_string_equal(options.noted[1]->name, "enable-feature");
    assert_string_equal(options.noted[3]->name, "storage.agent.retention.max-time");
}

static void the_help_has_every_flag_with_its_meaning(void **context)
{
    (void)context;
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    flags_help(out);
    fclose(out);
    assert_non_null(strstr(text, "--config.file  (prometheus.yml)\n        The configuration."));
    assert_non_null(strstr(text, "--web.listen-address  (127.0.0.1:9431)"));
    assert_non_null(strstr(text, "--storage.agent.wal-compression\n        limpet has no WAL"));
    assert_non_null(strstr(text, "--query.*"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_flags_there_are_defaults),
        cmocka_unit_test(what_is_built_in_goes_without_a_file),
        cmocka_unit_test(a_value_stands_behind_an_equals_sign_or_in_the_next_word),
        cmocka_unit_test(the_agent_path_is_the_storage_path),
        cmocka_unit_test(switches_can_be_negated),
        cmocka_unit_test(listeners_may_be_several_up_to_a_limit),
        cmocka_unit_test(durations_are_those_of_the_file),
        cmocka_unit_test(other_flags_come_once),
        cmocka_unit_test(a_misspelt_flag_names_the_nearest),
        cmocka_unit_test(what_cannot_be_a_flag_is_refused),
        cmocka_unit_test(server_only_flags_have_a_status_of_their_own),
        cmocka_unit_test(what_is_true_anyway_needs_no_word),
        cmocka_unit_test(flags_without_use_are_noted_once),
        cmocka_unit_test(the_help_has_every_flag_with_its_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
