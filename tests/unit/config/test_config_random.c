/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random damage to a good file: whatever comes of it is a configuration or an error in one line
 * with a position, never anything else.
 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/dice.h"

static const char good[] = "global: &g\n"
                           "  scrape_interval: 15s\n"
                           "  external_labels: {cluster: c1, host: \"${HOME}\"}\n"
                           "scrape_configs:\n"
                           "- job_name: node\n"
                           "  honor_labels: true\n"
                           "  params: {module: [a, b]}\n"
                           "  static_configs: &s [{targets: ['h:1', h:2], labels: {x: y}}]\n"
                           "  file_sd_configs: [{files: [t/*.json], refresh_interval: 1m}]\n"
                           "  relabel_configs: &r [{source_labels: [a, b], regex: '(.*);(.*)', "
                           "target_label: c, replacement: $1}, {action: labeldrop, regex: x}]\n"
                           "- job_name: other\n"
                           "  metric_relabel_configs: *r\n"
                           "  scrape_timeout: 5s\n"
                           "  static_configs: *s\n"
                           "  <<: {metrics_path: /m, scheme: http}\n"
                           "remote_write:\n"
                           "- url: http://h:9090/w\n"
                           "  headers: {X-A: b}\n"
                           "  queue_config: {capacity: 100, max_shards: 4}\n"
                           "limpet: {scrapers: 2, cpus: 0-1, ring_size: 2MiB}\n";

static struct dice dice;

static size_t roll(size_t sides)
{
    return dice_roll(&dice, (uint32_t)sides);
}

/* One edit: another byte, a byte less, or a piece copied elsewhere. */
static size_t edit(char *text, size_t len, size_t size)
{
    static const char bytes[] = " \n\t:-,[]{}&*!|>'\"%@`#~0aZ\\\xc3\xa9\x01";
    size_t at = roll(len);
    size_t piece = 1 + roll(20);
    size_t from = roll(len);
    switch (roll(3)) {
    case 0:
        text[at] = bytes[roll(sizeof(bytes) - 1)];
        return len;
    case 1:
        memmove(text + at, text + at + 1, len - at - 1);
        return len - 1;
    default:
        if (from + piece > len || len + piece > size)
            return len;
        memmove(text + at + piece, text + at, len - at);
        memmove(text + at, good + from % (sizeof(good) - 32), piece);
        return len + piece;
    }
}

static void expect_sound(const char *text, size_t len)
{
    struct config *config;
    struct errctx why = {""};
    unsigned line, column;
    if (config_parse("f", text, len, &config, &why) == 0) {
        config_free(config);
        return;
    }
    if (sscanf(why.text, "f:%u:%u: ", &line, &column) != 2 || strchr(why.text, '\n') != NULL)
        fail_msg("no proper error: %s", why.text);
}

static void damaged_files_give_a_configuration_or_an_error_in_one_line(void **state)
{
    (void)state;
    for (int round = 0; round < 4000; round++) {
        char text[2 * sizeof(good)];
        size_t len = sizeof(good) - 1;
        memcpy(text, good, len);
        for (size_t edits = 1 + roll(6); edits > 0; edits--)
            len = edit(text, len, sizeof(text));
        expect_sound(text, len);
    }
}

static void every_beginning_of_a_file_gives_one_or_the_other_too(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(good); len++)
        expect_sound(good, len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_files_give_a_configuration_or_an_error_in_one_line),
        cmocka_unit_test(every_beginning_of_a_file_gives_one_or_the_other_too),
    };
    dice = dice_new("damage");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
