/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/farm_targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/strbuf.h"

#define NAMESPACES 10

void farm_targets_init(struct farm_targets *ret_targets, uint32_t count, bool with_log)
{
    *ret_targets = (struct farm_targets){.count = count, .with_log = with_log};
    ret_targets->targets = calloc(count, sizeof(*ret_targets->targets));
    check(ret_targets->targets != NULL);
}

void farm_targets_fini(struct farm_targets *targets)
{
    for (uint32_t i = 0; i < targets->count; i++) {
        free(targets->targets[i].ranges);
        free(targets->targets[i].log);
    }
    free(targets->targets);
}

uint32_t farm_targets_count_request(struct farm_targets *targets, uint32_t index,
                                    int64_t arrival_ns, uint32_t connection)
{
    check(index < targets->count);
    struct farm_target *target = &targets->targets[index];
    uint32_t n = ++target->requests;
    targets->requests++;
    if (targets->first_ns == 0)
        targets->first_ns = arrival_ns;
    if (!targets->with_log)
        return n;
    if (n > target->log_cap) {
        target->log_cap = target->log_cap == 0 ? 16 : 2 * target->log_cap;
        target->log = realloc(target->log, target->log_cap * sizeof(*target->log));
        check(target->log != NULL);
    }
    target->log[n - 1] = (struct farm_request){.arrival_ns = arrival_ns, .connection = connection};
    return n;
}

void farm_targets_count_complete(struct farm_targets *targets, uint32_t index, uint32_t n,
                                 int64_t now_ns, bool left)
{
    check(index < targets->count);
    struct farm_target *target = &targets->targets[index];
    check(n >= 1 && n <= target->requests);
    target->complete++;
    targets->complete++;
    targets->seen += target->complete == 1;
    if (targets->all_seen_ns == 0 && targets->seen == targets->count)
        targets->all_seen_ns = now_ns;
    if (!targets->with_log)
        return;
    target->log[n - 1].sent_ns = now_ns;
    target->log[n - 1].left = left;
    if (target->range_count > 0 && target->ranges[target->range_count - 1].last + 1 == n) {
        target->ranges[target->range_count - 1].last = n;
        return;
    }
    if (target->range_count == target->range_cap) {
        target->range_cap = target->range_cap == 0 ? 1 : 2 * target->range_cap;
        target->ranges = realloc(target->ranges, target->range_cap * sizeof(*target->ranges));
        check(target->ranges != NULL);
    }
    target->ranges[target->range_count++] = (struct farm_range){n, n};
}

/* Writes beside the file and renames: a reader sees the old text or the new one. */
static int replace_file(const char *path, const struct strbuf *text, struct errctx *errctx)
{
    struct strbuf temporary = STRBUF_GROWING;
    strbuf_addf(&temporary, "%s.new", path);
    FILE *file = fopen(temporary.text, "w");
    int err = file == NULL ? -errno : 0;
    if (err == 0 && fwrite(text->text, 1, text->len, file) != text->len)
        err = -EIO;
    if (file != NULL && fclose(file) != 0 && err == 0)
        err = -errno;
    if (err == 0 && rename(temporary.text, path) < 0)
        err = -errno;
    strbuf_fini(&temporary);
    if (err < 0)
        return err_set(errctx, err, "cannot write %s: %s", path, err_text(err));
    return 0;
}

int farm_targets_write_file_sd(const struct farm_targets *targets, const char *path,
                               struct errctx *errctx)
{
    struct strbuf text = STRBUF_GROWING;
    for (uint32_t i = 0; i < targets->count; i++)
        strbuf_addf(&text,
                    "%s{\"targets\":[\"%s\"],\"labels\":{\"namespace\":\"farm-%u\","
                    "\"pod\":\"pod-%06u\"}}",
                    i == 0 ? "[\n" : ",\n", targets->targets[i].address, i % NAMESPACES, i);
    strbuf_adds(&text, "\n]\n");
    int err = replace_file(path, &text, errctx);
    strbuf_fini(&text);
    return err;
}

/* Microseconds, so that a long ledger stays short. */
static void add_requests(struct strbuf *text, const struct farm_target *target)
{
    int64_t first_ns = target->log[0].arrival_ns;
    strbuf_addf(text, ",\"first_arrival_ns\":%lld,\"log\":[", (long long)first_ns);
    for (uint32_t i = 0; i < target->requests; i++) {
        const struct farm_request *request = &target->log[i];
        bool was_sent = request->sent_ns > 0;
        int64_t sent_us = was_sent ? (request->sent_ns - first_ns) / NS_PER_US : 0;
        strbuf_addf(text, "%s[%lld,", i == 0 ? "" : ",",
                    (long long)((request->arrival_ns - first_ns) / NS_PER_US));
        if (was_sent)
            strbuf_addf(text, "%lld", (long long)sent_us);
        else
            strbuf_adds(text, "null");
        strbuf_addf(text, ",%u,%d]", request->connection, request->left);
    }
    strbuf_adds(text, "]");
}

static void add_target(struct strbuf *text, const struct farm_target *target, bool with_log)
{
    strbuf_addf(text, "{\"instance\":\"%s\",\"requests\":%u,\"complete\":%u,\"numbers\":[",
                target->address, target->requests, target->complete);
    for (uint32_t i = 0; i < target->range_count; i++)
        strbuf_addf(text, "%s[%u,%u]", i == 0 ? "" : ",", target->ranges[i].first,
                    target->ranges[i].last);
    strbuf_adds(text, "]");
    if (with_log && target->requests > 0)
        add_requests(text, target);
    strbuf_adds(text, "}");
}

int farm_targets_write_ledger(const struct farm_targets *targets, const char *path,
                              struct errctx *errctx)
{
    struct strbuf text = STRBUF_GROWING;
    for (uint32_t i = 0; i < targets->count; i++) {
        strbuf_adds(&text, i == 0 ? "{\"targets\":[\n" : ",\n");
        add_target(&text, &targets->targets[i], targets->with_log);
    }
    strbuf_adds(&text, "\n]}\n");
    int err = replace_file(path, &text, errctx);
    strbuf_fini(&text);
    return err;
}
