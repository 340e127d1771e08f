/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What it costs to read bodies that are as they are expected: scrapes of one target, from files,
 * each read with the plan of the one before, in pieces as they come from a socket, again and again.
 * One JSON line; under callgrind, the difference between two numbers of rounds is what a sample
 * costs, without what is learnt at the start.
 *
 *     perf/parse ROUNDS [--protobuf | --native] FILE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "perf/stage_bodies.h"

enum { PIECE = 16384 };

struct bench {
    enum exposition_format format;
    unsigned flags;
    struct stage_bodies stage;
    struct body body;
    struct plan *plan;
    uint64_t samples;
    uint64_t predicted;
    uint64_t bytes;
};

static struct slice read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    struct strbuf text = STRBUF_GROWING;
    char part[4096];
    size_t got;
    if (file == NULL)
        stage_die(path);
    while ((got = fread(part, 1, sizeof part, file)) > 0)
        strbuf_add(&text, part, got);
    fclose(file);
    return slice_make(text.text, text.len);
}

static void read_body(struct bench *bench, struct slice text)
{
    const struct body_source source = {.context = bench->stage.context,
                                       .plan = bench->plan,
                                       .format = bench->format,
                                       .flags = bench->flags,
                                       .honor_timestamps = true,
                                       .takes_exemplars = true,
                                       .takes_metadata = true,
                                       .max_schema = HISTOGRAM_SCHEMA_MAX,
                                       .limit = UINT32_MAX / 8};
    struct body *body = &bench->body;
    body_begin(body, &bench->stage.tools, &source);
    for (size_t at = 0; at < text.len; at += PIECE)
        body_take(body, slice_make(text.ptr + at, text.len - at < PIECE ? text.len - at : PIECE));
    body_finish(body);
    if (body->state != BODY_COMPLETE)
        stage_die(body->error.text);
    struct plan *plan = NULL;
    if (body_plan(body, &bench->stage.plans, &plan) != 0)
        stage_die("no room for a plan");
    plan_release(&bench->stage.plans, bench->plan);
    bench->plan = plan;
    bench->samples += body->scraped;
    bench->predicted += body->predicted;
    bench->bytes += text.len;
    body_end(body, &bench->stage.plans);
}

/* Whether the word says which one the bodies have; else it is text. */
static bool take_format(struct bench *bench, const char *word)
{
    bool is_native = strcmp(word, "--native") == 0;
    if (!is_native && strcmp(word, "--protobuf") != 0)
        return false;
    bench->format = EXPOSITION_PROTOBUF;
    bench->flags = is_native ? EXPOSITION_NATIVE_HISTOGRAMS : 0;
    return true;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    unsigned long rounds = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    char **files = argv + (rounds == 0 ? 0 : take_format(&bench, argv[2]) ? 3 : 2);
    int count = (int)(argv + argc - files);
    if (rounds == 0 || count == 0)
        stage_die("usage: parse ROUNDS [--protobuf | --native] FILE...");
    stage_bodies_init(&bench.stage, NULL);
    struct slice *bodies = calloc((size_t)count, sizeof *bodies);
    check(bodies != NULL);
    for (int i = 0; i < count; i++) {
        bodies[i] = read_file(files[i]);
        read_body(&bench, bodies[i]);
    }
    bench.samples = bench.predicted = bench.bytes = 0;
    int64_t start_ns = clock_mono_ns();
    for (unsigned long round = 0; round < rounds; round++) {
        for (int i = 0; i < count; i++)
            read_body(&bench, bodies[i]);
    }
    double ns = (double)(clock_mono_ns() - start_ns);
    printf("{\"samples\": %llu, \"predicted\": %.4f, \"ns_per_sample\": %.1f, "
           "\"bytes_per_ns\": %.3f}\n",
           (unsigned long long)bench.samples, (double)bench.predicted / (double)bench.samples,
           ns / (double)bench.samples, (double)bench.bytes / ns);
    return 0;
}
