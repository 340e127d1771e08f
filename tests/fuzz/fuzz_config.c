/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration file and, since it uses the same decoder, the file_sd file and the jobs of a
 * Target Allocator. What is accepted must survive a snapshot unchanged; what is refused must say so
 * in one line.
 */
#include <string.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "config/codec.h"
#include "config/freeze.h"
#include "config/schema.h"
#include "config/supplied_jobs.h"
#include "config/target_groups.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_one_line(const struct errctx *why, const char *start)
{
    check(strncmp(why->text, start, strlen(start)) == 0);
    check(strchr(why->text, '\n') == NULL);
}

static void expect_round_trip(const struct config *config)
{
    struct errctx why;
    struct config *thawed;
    struct strbuf before = STRBUF_GROWING;
    struct strbuf after = STRBUF_GROWING;
    int fd;
    check(config_freeze(config, &fd, &why) == 0);
    check(config_thaw(fd, &thawed, &why) == 0);
    close(fd);
    codec_encode(&schema_root, config, &before);
    codec_encode(&schema_root, thawed, &after);
    check(before.len == after.len && memcmp(before.text, after.text, before.len) == 0);
    strbuf_fini(&before);
    strbuf_fini(&after);
    config_free(thawed);
}

/* What a Target Allocator answers: each job is good and survives its bytes, or says why not. */
static void try_supplied(const uint8_t *data, size_t size)
{
    static const char text[] =
        "limpet: {target_allocator: {endpoint: 'http://t', collector_id: c}}";
    static struct config *config;
    struct errctx why = {""};
    struct supplied_jobs jobs;
    if (config == NULL)
        check(config_parse("f", text, sizeof(text) - 1, &config, &why) == 0);
    if (supplied_jobs_read(slice_make(data, size), config, &jobs, &why) < 0)
        expect_one_line(&why, "scrape_configs:");
    for (size_t i = 0; i < jobs.len; i++) {
        struct strbuf bytes = STRBUF_GROWING;
        struct config_job job = {0};
        if (jobs.items[i].job != NULL) {
            config_job_freeze(jobs.items[i].job, &bytes);
            struct slice frozen = slice_make(bytes.text, bytes.len);
            check(config_job_thaw(frozen, &jobs.arena, &job, &why) == 0);
        } else {
            check(strncmp(jobs.items[i].error, "scrape_configs:", 15) == 0);
            check(strchr(jobs.items[i].error, '\n') == NULL);
        }
        strbuf_fini(&bytes);
    }
    supplied_jobs_free(&jobs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_supplied(data, size);
    struct errctx why = {""};
    struct config *config;
    struct config_target_groups groups;
    struct arena arena = {0};
    if (config_parse("f", (const char *)data, size, &config, &why) == 0) {
        expect_round_trip(config);
        config_free(config);
    } else {
        expect_one_line(&why, "f:");
    }
    if (target_groups_parse("f", (const char *)data, size, &arena, &groups, &why) < 0)
        expect_one_line(&why, "f:");
    if (target_groups_parse("f.json", (const char *)data, size, &arena, &groups, &why) < 0)
        expect_one_line(&why, "f.json:");
    arena_fini(&arena);
    return 0;
}
