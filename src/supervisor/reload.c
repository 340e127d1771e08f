/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/reload.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/boot.h"
#include "supervisor/sd_notify.h"

static void show_outcome(struct shm_supervisor *page, bool good, const char *why)
{
    snprintf(page->reload_error, sizeof(page->reload_error), "%.*s",
             (int)sizeof(page->reload_error) - 1, why);
    if (good)
        atomic_store(&page->reload_at_ns, (uint64_t)clock_wall_ns());
    atomic_store(&page->reload_ok, good ? 1 : 0);
    /* Behind the three above: who sees the attempt sees its outcome. */
    atomic_fetch_add_explicit(&page->reload_attempts, 1, memory_order_release);
}

static int prepare(struct supervisor *supervisor, struct edition *next, struct errctx *reterr)
{
    int r = edition_load(supervisor->options, next, reterr);
    if (r < 0)
        return r;
    uint32_t refused = edition_keep(next, &supervisor->in_force);
    atomic_fetch_add(&supervisor->page->reload_refused, refused);
    r = boot_provide(supervisor, next, reterr);
    return r < 0 ? r : edition_freeze(next, ++supervisor->generations, reterr);
}

static void put_in_force(struct supervisor *supervisor, const struct edition *next, int64_t now)
{
    supervisor->in_force = *next;
    supervisor->announced = false;
    boot_put_in_force(supervisor);
    children_roll(&supervisor->children, now);
}

void reload_try(struct supervisor *supervisor, int64_t now)
{
    struct edition next;
    struct errctx why;
    const char *file = supervisor->options->config_file;
    sd_notify_reloading(now);
    if (prepare(supervisor, &next, &why) < 0) {
        edition_forget(&next);
        log_error(MSG("reload failed, nothing has changed"), STR("file", file),
                  STR("err", why.text));
        show_outcome(supervisor->page, false, why.text);
        supervisor->announced = false; /* say READY again */
        return;
    }
    /* Only what all children have worked with is worth going back to. */
    if (supervisor->children.rolling && supervisor->former.config != NULL) {
        edition_forget(&supervisor->in_force);
    } else {
        edition_forget(&supervisor->former);
        supervisor->former = supervisor->in_force;
    }
    put_in_force(supervisor, &next, now);
    log_info(MSG("reloading"), STR("file", file),
             INT("generation", supervisor->children.generation));
    show_outcome(supervisor->page, true, "");
}

bool reload_go_back(struct supervisor *supervisor, const char *child, int64_t now)
{
    char why[256];
    if (supervisor->former.config == NULL)
        return false;
    snprintf(why, sizeof(why), "%s cannot work with the new configuration; its log says why",
             child);
    log_error(MSG("going back to the configuration before"), STR("reason", why));
    edition_forget(&supervisor->in_force);
    struct edition former = supervisor->former;
    supervisor->former = EDITION_NONE;
    put_in_force(supervisor, &former, now);
    show_outcome(supervisor->page, false, why);
    return true;
}

void reload_done(struct supervisor *supervisor)
{
    if (supervisor->former.config == NULL)
        return;
    log_info(MSG("reloaded"), INT("generation", supervisor->children.generation));
    edition_forget(&supervisor->former);
}
