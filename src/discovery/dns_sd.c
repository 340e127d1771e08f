/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/dns_sd.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "discovery/dns_query.h"
#include "shm/slot.h"

/* A name and what its last good answer was. */
struct dns_name {
    struct dns_query query;
    struct dns_sd *owner;
    struct dns_answer answer;
    uint64_t hash;      /* of the answer's records, in any order */
    uint64_t complaint; /* hash of what the log says about it; 0 = nothing */
    bool known;
};

struct dns_sd {
    struct source source;
    const struct config_dns_sd *config;
    struct loop_timer timer; /* the next round */
    int64_t asked_at_ns;
    size_t in_flight;
    bool freed; /* but questions are under way */
    struct dns_name names[];
};

#define OWNER(pointer) ((struct dns_sd *)(void *)(uintptr_t)(pointer))

static void ask(struct loop_timer *timer)
{
    struct dns_sd *sd = (struct dns_sd *)(void *)((char *)timer - offsetof(struct dns_sd, timer));
    sd->asked_at_ns = loop_now(sd->source.host->loop);
    sd->in_flight = sd->config->names.len;
    slot_add(sd->source.host->slot, COUNTER_DNS_SD_LOOKUPS, sd->in_flight);
    for (size_t i = 0; i < sd->config->names.len; i++)
        dns_query_ask(sd->source.host->loop, &sd->names[i].query);
}

static void destroy(struct dns_sd *sd)
{
    for (size_t i = 0; i < sd->config->names.len; i++)
        arena_fini(&sd->names[i].answer.arena);
    free(sd);
}

static uint64_t hash_of(const struct dns_answer *answer)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < answer->len; i++)
        hash += hash64(answer->records[i].target, strlen(answer->records[i].target),
                       answer->records[i].port);
    return hash;
}

/* Each failure counts; the log has it once, until it is another one. */
static void complain(struct dns_name *name, const char *why)
{
    uint64_t complaint = hash64(why, strlen(why), 1);
    slot_add(name->owner->source.host->slot, COUNTER_DNS_SD_FAILURES, 1);
    if (complaint != name->complaint)
        log_error(MSG("dns_sd: no answer; the targets that this name had stay"),
                  STR("name", name->query.name), STR("err", why));
    name->complaint = complaint;
}

static void take_answer(struct dns_name *name)
{
    struct dns_answer *fresh = &name->query.answer;
    if (fresh->error != 0) {
        complain(name, fresh->text);
        arena_fini(&fresh->arena);
        return;
    }
    uint64_t hash = hash_of(fresh);
    bool changed = !name->known || hash != name->hash || fresh->len != name->answer.len;
    arena_fini(&name->answer.arena);
    name->answer = *fresh;
    name->hash = hash;
    name->known = true;
    name->complaint = 0;
    if (changed)
        source_changed(&name->owner->source);
}

static void answered(struct dns_query *query)
{
    struct dns_name *name =
        (struct dns_name *)(void *)((char *)query - offsetof(struct dns_name, query));
    struct dns_sd *sd = name->owner;
    struct loop *loop = sd->source.host->loop;
    sd->in_flight--;
    if (sd->freed) {
        arena_fini(&query->answer.arena);
        if (sd->in_flight == 0)
            destroy(sd);
        return;
    }
    take_answer(name);
    if (sd->in_flight > 0)
        return;
    int64_t next = sd->asked_at_ns + sd->config->refresh_interval * NS_PER_MS;
    loop_timer_set(loop, &sd->timer, next > loop_now(loop) ? next : loop_now(loop));
}

/* ---- As a source ---- */

static struct slice trimmed(const char *name)
{
    size_t len = strlen(name);
    while (len > 0 && name[len - 1] == '.')
        len--;
    return slice_make(name, len);
}

static int walk_record(const struct dns_sd *sd, const struct dns_name *name,
                       const struct dns_record *record, struct arena *arena,
                       struct label_set *labels, struct source_visit *visit)
{
    static const char *const names[] = {[CONFIG_DNS_SRV] = "__meta_dns_srv_record_target",
                                        [CONFIG_DNS_MX] = "__meta_dns_mx_record_target",
                                        [CONFIG_DNS_NS] = "__meta_dns_ns_record_target"};
    enum config_dns_type type = sd->config->type;
    char port[16];
    snprintf(port, sizeof(port), "%u",
             type == CONFIG_DNS_SRV ? record->port : (unsigned)sd->config->port);
    label_set_clear(labels);
    label_set_put(labels, SLICE_LITERAL("__meta_dns_name"), slice_of(name->query.name));
    if (type == CONFIG_DNS_SRV)
        label_set_put(labels, SLICE_LITERAL("__meta_dns_srv_record_port"), slice_of(port));
    if (type != CONFIG_DNS_A && type != CONFIG_DNS_AAAA)
        label_set_put(labels, slice_of(names[type]), slice_of(record->target));
    return visit->target(visit, source_address(arena, trimmed(record->target), slice_of(port)),
                         labels);
}

static int walk(const struct source *source, struct source_visit *visit)
{
    const struct dns_sd *sd = OWNER(source);
    struct label_set labels = {0};
    struct arena arena = {0};
    int err = 0;
    for (size_t i = 0; err == 0 && i < sd->config->names.len; i++) {
        const struct dns_name *name = &sd->names[i];
        for (size_t k = 0; err == 0 && k < name->answer.len; k++) {
            arena_reset(&arena);
            err = walk_record(sd, name, &name->answer.records[k], &arena, &labels, visit);
        }
    }
    label_set_fini(&labels);
    arena_fini(&arena);
    return err;
}

static bool is_known(const struct source *source)
{
    const struct dns_sd *sd = OWNER(source);
    for (size_t i = 0; i < sd->config->names.len; i++) {
        if (!sd->names[i].known)
            return false;
    }
    return true;
}

static void free_source(struct source *source)
{
    struct dns_sd *sd = OWNER(source);
    loop_timer_clear(source->host->loop, &sd->timer);
    sd->freed = true;
    if (sd->in_flight == 0)
        destroy(sd);
}

static const struct source_class class = {
    .name = "dns_sd_configs",
    .walk = walk,
    .is_known = is_known,
    .free = free_source,
};

struct source *dns_sd_new(struct source_host *host, const struct config_dns_sd *config)
{
    struct dns_sd *sd = calloc(1, sizeof(*sd) + config->names.len * sizeof(sd->names[0]));
    check(sd != NULL);
    sd->source = (struct source){&class, host};
    sd->config = config;
    sd->timer.expired = ask;
    for (size_t i = 0; i < config->names.len; i++)
        sd->names[i] = (struct dns_name){
            .query = {.name = config->names.items[i], .type = config->type, .answered = answered},
            .owner = sd};
    loop_timer_set(host->loop, &sd->timer, loop_now(host->loop));
    return &sd->source;
}
