/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/boot.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/cpus.h"
#include "supervisor/listeners.h"
#include "supervisor/sd_notify.h"

#define STANDBY_LOOK_MS 200
#define STANDBY_TELL_NS (10 * NS_PER_S)

static int open_signals(struct supervisor *supervisor, struct errctx *reterr)
{
    static const int wanted[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        signal(wanted[i], SIG_DFL); /* the parent may have ignored it (nohup) */
        sigaddset(&set, wanted[i]);
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    supervisor->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (supervisor->signals < 0)
        return err_set(reterr, -errno, "cannot take signals: %s", err_text(-errno));
    return 0;
}

/* ---- paths ---- */

static int open_paths(struct supervisor *supervisor, struct errctx *reterr)
{
    const struct options *options = supervisor->options;
    const struct config_limpet *limpet = &supervisor->in_force.config->limpet;
    const struct runtime_request request = {
        .runtime_path = options->runtime_path,
        .storage_path = options->storage_path,
        .config_file = options->config_file,
        .room = segments_room((uint32_t)limpet->scrapers, limpet->ring_size),
    };
    int r = runtime_open(&supervisor->runtime, &request, reterr);
    if (r < 0)
        return r;
    if (supervisor->runtime.dir_fd < 0)
        log_warn(MSG("no runtime directory: shared memory ends with this process"));
    else
        log_info(MSG("runtime directory"), STR("path", supervisor->runtime.path));
    if (supervisor->runtime.on_disk)
        log_warn(MSG("the runtime directory is not on tmpfs: every sample costs disk writes"),
                 STR("path", supervisor->runtime.path));
    if (options->storage_path == NULL)
        log_info(MSG("no --storage.path: nothing outlives a reboot"));
    return 0;
}

/* Whether somebody wants the waiting to end. */
static bool told_to_end(int signals)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            return true;
    }
    return false;
}

/* Once to the operator, and now and then to systemd, which would give up otherwise. */
static void say_standby(const struct supervisor *supervisor, int64_t *tell_due)
{
    int64_t now = clock_mono_ns();
    if (*tell_due == 0)
        log_info(MSG("another limpet has these paths: waiting as a standby"),
                 STR("path", supervisor->runtime.path));
    if (now < *tell_due)
        return;
    sd_notify_send("EXTEND_TIMEOUT_USEC=30000000\n"
                   "STATUS=Waiting as a standby for another limpet.");
    *tell_due = now + STANDBY_TELL_NS;
}

/* 0: the paths are ours, ret_waited says whether it took time; BOOT_LEFT; an error. */
static int take_paths(struct supervisor *supervisor, bool *ret_waited, struct errctx *reterr)
{
    int64_t tell_due = 0;
    for (;;) {
        int r = runtime_lock(&supervisor->runtime);
        *ret_waited = tell_due != 0;
        if (r == 0)
            return 0;
        if (r != -EWOULDBLOCK)
            return err_set(reterr, r, "cannot lock the paths: %s", err_text(r));
        say_standby(supervisor, &tell_due);
        struct pollfd waiting = {supervisor->signals, POLLIN, 0};
        poll(&waiting, 1, STANDBY_LOOK_MS);
        if (told_to_end(supervisor->signals))
            return BOOT_LEFT;
    }
}

/* ---- what children need ---- */

static int open_segments(struct supervisor *supervisor, struct errctx *reterr)
{
    struct estate *estate = &supervisor->estate;
    int r = segments_open(&estate->segments, supervisor->runtime.dir_fd, estate->scrapers,
                          supervisor->in_force.config->limpet.ring_size, reterr);
    if (r == 0)
        r = control_attach(&supervisor->control, estate->segments.control.rw, true, reterr);
    if (r < 0)
        return r;
    struct shm_supervisor *page = control_supervisor(&supervisor->control);
    memset(page, 0, sizeof(*page));
    atomic_store(&page->started_at_ns, (uint64_t)clock_wall_ns());
    atomic_store(&page->scrapers, estate->scrapers);
    atomic_store(&page->kept_scrapers, estate->segments.rings);
    atomic_store(&page->reload_at_ns, (uint64_t)clock_wall_ns());
    atomic_store(&page->reload_ok, 1);
    supervisor->page = page;
    return 0;
}

static void place(struct supervisor *supervisor)
{
    const struct config_limpet *limpet = &supervisor->in_force.config->limpet;
    struct placement_input input = {.budget = cpus_budget(),
                                    .scrapers = supervisor->estate.scrapers,
                                    .cpus = limpet->cpus,
                                    .pinning = limpet->pinning};
    char allowed[PLACEMENT_TEXT];
    cpus_allowed(&input.allowed);
    cpus_second_threads(&input.allowed, &input.second);
    placement_plan(&input, &supervisor->placement);
    log_info(MSG("placement"), STR("pinned", supervisor->placement.pinned ? "yes" : "no"),
             STR("why", supervisor->placement.why),
             STR("allowed", placement_format_cpus(&input.allowed, allowed)),
             INT("budget", input.budget));
    if (supervisor->placement.cpus_refused)
        log_warn(MSG("some of the CPUs in `limpet: cpus` are not allowed and left out"));
}

bool boot_look_at_cpus(struct supervisor *supervisor)
{
    cpu_set_t allowed;
    cpus_allowed(&allowed);
    if (CPU_EQUAL(&allowed, &supervisor->placement.allowed))
        return false;
    place(supervisor);
    atomic_fetch_add(&supervisor->page->repins, 1);
    return true;
}

int boot_provide(struct supervisor *supervisor, const struct edition *edition,
                 struct errctx *reterr)
{
    const struct config_limpet *limpet = &edition->config->limpet;
    struct estate *estate = &supervisor->estate;
    int r = estate_provide(estate, (uint32_t)limpet->scrapers, reterr);
    return r < 0 ? r
                 : segments_add(&estate->segments, supervisor->runtime.dir_fd,
                                (uint32_t)limpet->scrapers, limpet->ring_size, reterr);
}

void boot_put_in_force(struct supervisor *supervisor)
{
    const struct edition *edition = &supervisor->in_force;
    supervisor->estate.scrapers = (uint32_t)edition->config->limpet.scrapers;
    supervisor->estate.config_fd = edition->fd;
    supervisor->children.generation = edition->config->generation;
    atomic_store(&supervisor->page->config_generation, edition->config->generation);
    place(supervisor);
}

static int prepare_children(struct supervisor *supervisor, struct errctx *reterr)
{
    const struct options *options = supervisor->options;
    struct children *children = &supervisor->children;
    *children = (struct children){
        .estate = &supervisor->estate,
        .placement = &supervisor->placement,
        .page = supervisor->page,
        .control = &supervisor->control,
        .programs = &supervisor->programs,
        .arguments = {.level = options->log_level,
                      .format = options->log_format,
                      .lifecycle = options->lifecycle},
    };
    supervisor->estate.lock_fd = supervisor->runtime.lock_fd;
    supervisor->estate.storage_lock_fd = supervisor->runtime.storage_lock_fd;
    supervisor->estate.storage_fd = supervisor->runtime.storage_fd;
    int r = edition_freeze(&supervisor->in_force, ++supervisor->generations, reterr);
    if (r < 0)
        return r;
    boot_put_in_force(supervisor);
    children_init(children, clock_mono_ns());
    return 0;
}

/* Everything that must not happen while another limpet has the paths. */
static int take_over(struct supervisor *supervisor, struct errctx *reterr)
{
    const struct options *options = supervisor->options;
    uint32_t scrapers = (uint32_t)supervisor->in_force.config->limpet.scrapers;
    int r = estate_init(&supervisor->estate, scrapers, reterr);
    if (r == 0)
        r = open_segments(supervisor, reterr);
    if (r == 0)
        r = listeners_open(&supervisor->estate, options->listen, options->listen_count, reterr);
    if (r == 0)
        r = prepare_children(supervisor, reterr);
    return r;
}

int boot_up(struct supervisor *supervisor, const struct options *options, struct errctx *reterr)
{
    bool waited;
    *supervisor = (struct supervisor){
        .options = options, .signals = -1, .in_force = EDITION_NONE, .former = EDITION_NONE};
    supervisor->runtime = RUNTIME_NONE;
    estate_clear(&supervisor->estate);
    log_info(MSG("starting limpet"), STR("version", PACKAGE_VERSION));
    int r = open_signals(supervisor, reterr);
    if (r == 0)
        r = edition_load(options, &supervisor->in_force, reterr);
    if (r == 0)
        r = listeners_check(options->listen, options->listen_count, reterr);
    if (r == 0)
        r = programs_find(&supervisor->programs, reterr);
    if (r == 0)
        r = open_paths(supervisor, reterr);
    if (r == 0)
        r = take_paths(supervisor, &waited, reterr);
    if (r == 0 && waited) { /* the file may be another one by now */
        edition_forget(&supervisor->in_force);
        r = edition_load(options, &supervisor->in_force, reterr);
    }
    return r == 0 ? take_over(supervisor, reterr) : r;
}

void boot_down(struct supervisor *supervisor)
{
    control_detach(&supervisor->control);
    children_fini(&supervisor->children);
    estate_fini(&supervisor->estate);
    edition_forget(&supervisor->in_force);
    edition_forget(&supervisor->former);
    runtime_close(&supervisor->runtime);
    if (supervisor->signals >= 0)
        close(supervisor->signals);
}
