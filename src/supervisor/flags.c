/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "supervisor/flags.h"

#include <stdlib.h>
#include <string.h>

#include "base/distance.h"
#include "base/slice.h"
#include "config/duration.h"

#define MEMBER(name) offsetof(struct options, name)

static const struct flag flags[] = {
    {"config.file", FLAG_TEXT, FLAG_WORKS, "prometheus.yml", "The configuration.",
     MEMBER(config_file)},
    {"kubernetes", FLAG_BOOL, FLAG_WORKS, "false",
     "Run without a file: annotated pods and services of this node, its node-exporter, kubelet and "
     "cAdvisor, every 30s. Needs NODE_NAME in the environment.",
     MEMBER(kubernetes)},
    {"remote-write.url", FLAG_TEXT, FLAG_WORKS, NULL, "Where --kubernetes sends samples.",
     MEMBER(remote_write_url)},
    {"storage.path", FLAG_TEXT, FLAG_WORKS, NULL, "Directory for what has to outlive a reboot.",
     MEMBER(storage_path)},
    {"storage.agent.path", FLAG_TEXT, FLAG_WORKS, NULL, "The same as --storage.path.",
     MEMBER(storage_path)},
    {"runtime.path", FLAG_TEXT, FLAG_WORKS, "$RUNTIME_DIRECTORY, else below /dev/shm",
     "Directory on tmpfs for shared memory.", MEMBER(runtime_path)},
    {"web.listen-address", FLAG_LISTENER, FLAG_WORKS, "127.0.0.1:9431",
     "Where the pages are; may be given several times.", MEMBER(listen)},
    {"web.enable-lifecycle", FLAG_BOOL, FLAG_WORKS, "false",
     "Allow reload and quit by HTTP request.", MEMBER(lifecycle)},
    {"storage.remote.flush-deadline", FLAG_DURATION, FLAG_WORKS, "1m",
     "How long to go on delivering after SIGTERM.", MEMBER(flush_deadline_ms)},
    {"log.level", FLAG_LOG_LEVEL, FLAG_WORKS, "info", "debug, info, warn or error.",
     MEMBER(log_level)},
    {"log.format", FLAG_LOG_FORMAT, FLAG_WORKS, "logfmt", "logfmt or json.", MEMBER(log_format)},
    {"help", FLAG_BOOL, FLAG_WORKS, NULL, "This text.", MEMBER(help)},
    {"version", FLAG_BOOL, FLAG_WORKS, NULL, "The version.", MEMBER(version)},
    {"agent", FLAG_BOOL, FLAG_IGNORED, NULL, "limpet is nothing but an agent", 0},
    {"enable-feature", FLAG_FEATURES, FLAG_INSTEAD, NULL,
     "features other than `agent` cannot be switched", 0},

    {"storage.agent.wal-compression", FLAG_BOOL, FLAG_INSTEAD, NULL, "limpet has no WAL", 0},
    {"storage.agent.wal-compression-type", FLAG_TEXT, FLAG_INSTEAD, NULL, "limpet has no WAL", 0},
    {"storage.agent.wal-segment-size", FLAG_TEXT, FLAG_INSTEAD, NULL, "limpet has no WAL", 0},
    {"storage.agent.wal-truncate-frequency", FLAG_TEXT, FLAG_INSTEAD, NULL, "limpet has no WAL", 0},
    {"storage.agent.retention.min-time", FLAG_TEXT, FLAG_INSTEAD, NULL,
     "`limpet: ring_size` says how much may wait for delivery", 0},
    {"storage.agent.retention.max-time", FLAG_TEXT, FLAG_INSTEAD, NULL,
     "`limpet: ring_size` says how much may wait for delivery", 0},
    {"storage.agent.no-lockfile", FLAG_BOOL, FLAG_INSTEAD, NULL,
     "a second limpet on the same paths always waits as a standby", 0},
    {"web.config.file", FLAG_TEXT, FLAG_INSTEAD, NULL, "the pages are plain HTTP without login", 0},
    {"web.read-timeout", FLAG_TEXT, FLAG_INSTEAD, NULL, "idle connections are closed after 30s", 0},
    {"web.max-connections", FLAG_TEXT, FLAG_INSTEAD, NULL, "at most 32 connections are taken", 0},
    {"web.max-notifications-subscribers", FLAG_TEXT, FLAG_INSTEAD, NULL,
     "limpet sends no notifications", 0},
    {"web.external-url", FLAG_TEXT, FLAG_INSTEAD, NULL, "the pages have relative links only", 0},
    {"web.route-prefix", FLAG_TEXT, FLAG_INSTEAD, NULL, "the pages are at the root", 0},
    {"web.user-assets", FLAG_TEXT, FLAG_INSTEAD, NULL, "limpet has no assets", 0},
    {"web.page-title", FLAG_TEXT, FLAG_INSTEAD, NULL, "the pages have their own titles", 0},
    {"web.cors.origin", FLAG_TEXT, FLAG_INSTEAD, NULL, "limpet sends no CORS headers", 0},
    {"web.console.templates", FLAG_TEXT, FLAG_INSTEAD, NULL, "limpet has no templates", 0},
    {"web.console.libraries", FLAG_TEXT, FLAG_INSTEAD, NULL, "limpet has no templates", 0},
    {"web.enable-admin-api", FLAG_BOOL, FLAG_INSTEAD, NULL, "limpet has no admin API", 0},
    {"web.enable-remote-write-receiver", FLAG_BOOL, FLAG_INSTEAD, NULL,
     "limpet does not receive remote write", 0},
    {"web.enable-otlp-receiver", FLAG_BOOL, FLAG_INSTEAD, NULL, "limpet does not receive OTLP", 0},
    {"web.remote-write-receiver.accepted-protobuf-messages", FLAG_TEXT, FLAG_INSTEAD, NULL,
     "limpet does not receive remote write", 0},
    {"config.auto-reload-interval", FLAG_TEXT, FLAG_INSTEAD, NULL,
     "limpet reloads on SIGHUP or POST /-/reload", 0},
    {"scrape.adjust-timestamps", FLAG_BOOL, FLAG_INSTEAD, NULL,
     "a sample's timestamp is its tick, up to Prometheus' default tolerance", 0},
    {"scrape.timestamp-tolerance", FLAG_TEXT, FLAG_INSTEAD, NULL,
     "a sample's timestamp is its tick, up to Prometheus' default tolerance", 0},
    {"scrape.discovery-reload-interval", FLAG_TEXT, FLAG_INSTEAD, NULL,
     "scrapers take a new target table at once", 0},
    {"auto-gomaxprocs", FLAG_BOOL, FLAG_INSTEAD, NULL, "`limpet: scrapers` sets the processes", 0},
    {"auto-gomemlimit", FLAG_BOOL, FLAG_INSTEAD, NULL, "limpet collects no garbage", 0},
    {"auto-gomemlimit.ratio", FLAG_TEXT, FLAG_INSTEAD, NULL, "limpet collects no garbage", 0},

    {"storage.tsdb.", FLAG_FAMILY, FLAG_SERVER_ONLY, NULL, "limpet has no database", 0},
    {"storage.remote.read-", FLAG_FAMILY, FLAG_SERVER_ONLY, NULL, "limpet cannot be queried", 0},
    {"query.", FLAG_FAMILY, FLAG_SERVER_ONLY, NULL, "limpet cannot be queried", 0},
    {"rules.", FLAG_FAMILY, FLAG_SERVER_ONLY, NULL, "limpet evaluates no rules", 0},
    {"alertmanager.", FLAG_FAMILY, FLAG_SERVER_ONLY, NULL, "limpet sends no alerts", 0},
};
#define FLAGS_COUNT (sizeof(flags) / sizeof(flags[0]))
_Static_assert(FLAGS_COUNT <= 64, "given flags are a mask of 64 bits");
_Static_assert(HERITAGE_MAX_LISTENERS == 6, "allowed() says so");

static const struct flag *find(struct slice name)
{
    for (size_t i = 0; i < FLAGS_COUNT; i++) {
        const struct flag *flag = &flags[i];
        struct slice valid = slice_of(flag->name);
        bool may_go_on = flag->type == FLAG_FAMILY && name.len > valid.len;
        if (slice_equal(may_go_on ? slice_make(name.ptr, valid.len) : name, valid))
            return flag;
    }
    return NULL;
}

static const char *nearest(const char *name)
{
    const char *best = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < FLAGS_COUNT; i++) {
        if (flags[i].type == FLAG_FAMILY)
            continue;
        size_t d = distance(name, flags[i].name);
        if (d < least) {
            least = d;
            best = flags[i].name;
        }
    }
    return best;
}

static bool add_listener(struct options *options, const char *value)
{
    if (options->listen_count == HERITAGE_MAX_LISTENERS)
        return false;
    options->listen[options->listen_count++] = value;
    return true;
}

static bool take_bool(bool *member, const char *value, bool negated)
{
    bool on = value == NULL || strcmp(value, "true") == 0;
    if (!on && strcmp(value, "false") != 0)
        return false;
    *member = on != negated;
    return true;
}

/* Stores the value in the flag's member. False: no valid value. */
static bool store(struct options *options, const struct flag *flag, const char *value)
{
    char *member = (char *)options + flag->offset;
    switch (flag->type) {
    case FLAG_TEXT:
        memcpy(member, &value, sizeof(value));
        return value[0] != '\0';
    case FLAG_LISTENER:
        return add_listener(options, value);
    case FLAG_DURATION:
        return config_duration_parse(slice_of(value), (int64_t *)(void *)member);
    case FLAG_LOG_LEVEL:
        return log_level_parse(value, (enum log_level *)(void *)member);
    case FLAG_LOG_FORMAT:
        return log_format_parse(value, (enum log_format *)(void *)member);
    case FLAG_BOOL:
    case FLAG_FEATURES:
    case FLAG_FAMILY:
        break;
    }
    return true;
}

static void note(struct options *options, const struct flag *flag, const char *value)
{
    if (flag->status != FLAG_INSTEAD || options->noted_count == OPTIONS_MAX_NOTED)
        return;
    if (flag->type == FLAG_FEATURES && strcmp(value, "agent") == 0)
        return;
    for (uint32_t i = 0; i < options->noted_count; i++) {
        if (options->noted[i] == flag)
            return;
    }
    options->noted[options->noted_count++] = flag;
}

/* One word of the command line, split. */
struct word {
    const struct flag *flag;
    const char *text;  /* the whole word */
    const char *value; /* behind the '=', or NULL */
    bool negated;      /* --no-name */
};

static int split(const char *text, struct word *word, struct errctx *reterr)
{
    if (text[0] != '-' || text[1] == '\0' || strcmp(text, "--") == 0) {
        err_set(reterr, ERR_SYNTAX, "unexpected argument %s; see limpet --help", text);
        return EXIT_USAGE;
    }
    const char *name = text + (text[1] == '-' ? 2 : 1);
    size_t len = strcspn(name, "=");
    *word = (struct word){NULL, text, name[len] == '=' ? name + len + 1 : NULL, false};
    word->flag = strcmp(text, "-h") == 0 ? find(slice_of("help")) : find(slice_make(name, len));
    if (word->flag == NULL && strncmp(name, "no-", 3) == 0) {
        word->flag = find(slice_make(name + 3, len - 3));
        word->negated = true;
    }
    if (word->flag != NULL && (!word->negated || word->flag->type == FLAG_BOOL))
        return 0;
    char given[256];
    snprintf(given, sizeof(given), "%.*s", (int)len, name);
    err_set(reterr, ERR_SYNTAX, "unknown flag --%s; the nearest valid flag is --%s", given,
            nearest(given));
    return EXIT_USAGE;
}

static const char *allowed(enum flag_type type)
{
    switch (type) {
    case FLAG_BOOL:
        return "true or false";
    case FLAG_DURATION:
        return "a duration such as 1m30s";
    case FLAG_LOG_LEVEL:
        return "debug, info, warn or error";
    case FLAG_LOG_FORMAT:
        return "logfmt or json";
    case FLAG_LISTENER:
        return "one of at most 6 addresses";
    case FLAG_TEXT:
    case FLAG_FEATURES:
    case FLAG_FAMILY:
        break;
    }
    return "a text that is not empty";
}

static int take(struct options *options, const struct word *word, struct errctx *reterr)
{
    const struct flag *flag = word->flag;
    note(options, flag, word->value);
    if (flag->type == FLAG_BOOL) {
        bool unused;
        void *member =
            flag->status == FLAG_WORKS ? (char *)options + flag->offset : (void *)&unused;
        if (take_bool(member, word->value, word->negated))
            return 0;
    } else if (flag->status != FLAG_WORKS || store(options, flag, word->value)) {
        return 0;
    }
    const char *quote = word->value[0] == '\0' ? "\"" : "";
    err_set(reterr, ERR_SYNTAX, "--%s: %s%s%s is not a valid value; it must be %s", flag->name,
            quote, word->value, quote, allowed(flag->type));
    return EXIT_USAGE;
}

/* Where the parser is. */
struct parsing {
    int argc;
    char **argv;
    int next;
    uint64_t given; /* bit i: flags[i] has occurred */
};

/* A value may stand in the next argument; each flag comes once, but for lists. */
static int complete(struct parsing *at, struct word *word, struct errctx *reterr)
{
    const struct flag *flag = word->flag;
    uint64_t bit = UINT64_C(1) << (flag - flags);
    bool repeatable = flag->type == FLAG_LISTENER || flag->type == FLAG_FEATURES;
    if ((at->given & bit) != 0 && !repeatable) {
        err_set(reterr, ERR_SYNTAX, "--%s cannot be repeated", flag->name);
        return EXIT_USAGE;
    }
    at->given |= bit;
    if (flag->type == FLAG_BOOL || word->value != NULL)
        return 0;
    if (at->next == at->argc) {
        err_set(reterr, ERR_SYNTAX, "--%s wants a value", flag->name);
        return EXIT_USAGE;
    }
    word->value = at->argv[at->next++];
    return 0;
}

static int parse_one(struct parsing *at, struct options *options, struct errctx *reterr)
{
    struct word word;
    int status = split(at->argv[at->next++], &word, reterr);
    if (status != 0)
        return status;
    if (word.flag->status == FLAG_SERVER_ONLY) {
        err_set(reterr, ERR_SYNTAX, "%s is for a Prometheus server only: %s", word.text,
                word.flag->help);
        return EXIT_SERVER_ONLY;
    }
    status = complete(at, &word, reterr);
    return status != 0 ? status : take(options, &word, reterr);
}

static int check_builtin(const struct options *options, bool has_file, struct errctx *reterr)
{
    const char *why = NULL;
    if (options->kubernetes && has_file)
        why = "--kubernetes and --config.file exclude each other";
    else if (options->kubernetes && options->remote_write_url == NULL)
        why = "--kubernetes wants to know where samples go: --remote-write.url";
    else if (!options->kubernetes && options->remote_write_url != NULL)
        why = "--remote-write.url goes with --kubernetes; else the file says where samples go";
    if (why == NULL)
        return 0;
    err_set(reterr, ERR_SYNTAX, "%s", why);
    return EXIT_USAGE;
}

int flags_parse(int argc, char **argv, struct options *ret_options, struct errctx *reterr)
{
    struct options options = {.config_file = "prometheus.yml",
                              .flush_deadline_ms = 60 * 1000,
                              .log_level = LOG_LEVEL_INFO,
                              .log_format = LOG_FORMAT_LOGFMT};
    struct parsing at = {argc, argv, 1, 0};
    while (at.next < argc) {
        int status = parse_one(&at, &options, reterr);
        if (status != 0)
            return status;
    }
    const struct flag *file = find(SLICE_LITERAL("config.file"));
    bool has_file = (at.given & UINT64_C(1) << (file - flags)) != 0;
    int status = check_builtin(&options, has_file, reterr);
    if (status != 0)
        return status;
    if (options.listen_count == 0)
        add_listener(&options, "127.0.0.1:9431");
    *ret_options = options;
    return 0;
}

static void help_of(FILE *out, enum flag_status status)
{
    for (size_t i = 0; i < FLAGS_COUNT; i++) {
        const struct flag *flag = &flags[i];
        if (flag->status != status)
            continue;
        fprintf(out, "  --%s%s", flag->name, flag->type == FLAG_FAMILY ? "*" : "");
        if (flag->fallback != NULL)
            fprintf(out, "  (%s)", flag->fallback);
        fprintf(out, "\n        %s\n", flag->help);
    }
}

void flags_help(FILE *out)
{
    fputs("limpet: the node-local Prometheus scraping agent\n\n"
          "  limpet [FLAG...]                 scrape and deliver\n"
          "  limpet check config FILE         validate a configuration, say what would run\n"
          "  limpet check config --kubernetes --remote-write.url=URL\n"
          "                                   print the configuration of --kubernetes\n"
          "  limpet check config --expand FILE\n"
          "                                   print annotation_discovery as jobs of Prometheus\n"
          "  limpet check metrics < BODY      say what a scrape would take from a body\n\n"
          "Flags (--name=value or --name value, one or two dashes; defaults in parentheses):\n",
          out);
    help_of(out, FLAG_WORKS);
    fputs("\nFlags of the Prometheus agent that are accepted and change nothing, and why:\n", out);
    help_of(out, FLAG_IGNORED);
    help_of(out, FLAG_INSTEAD);
    fputs("\nFlags of the Prometheus server that are refused, and why:\n", out);
    help_of(out, FLAG_SERVER_ONLY);
}

void flags_warn(const struct options *options)
{
    for (uint32_t i = 0; i < options->noted_count; i++) {
        log_warn(MSG("this flag changes nothing"), STR("flag", options->noted[i]->name),
                 STR("instead", options->noted[i]->help));
    }
}
