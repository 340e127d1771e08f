/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/provision.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "config/http_rules.h"
#include "discovery/sd_credentials.h"
#include "discovery/token.h"
#include "http/auth.h"

/* No credential and no list of authorities is larger. */
#define FILE_MAX (4u << 20)

/* A file, as it was when it was read last. */
struct secret_file {
    struct secret_file *next;
    char *text;
    size_t len;
    int error; /* -errno of reading it, 0 if `text` is its content */
    bool seen; /* looked at once */
    struct stat state;
    char path[];
};

/* Of a client with oauth2. */
struct client_token {
    struct client_token *next;
    const struct config_oauth2 *config;
    struct token *token;
    struct provision *provision;
};

struct provision {
    const struct config *config;
    struct supplied_list supplied; /* jobs behind those of the configuration */
    struct source_host *host;
    struct client_token *tokens;
    bool token_changed;
    bool *https[PROVISION_ROLES]; /* entries of which somebody has found out that they need it */
    struct secret_file *files;
    const char *system_file; /* NULL: there is none */
};

/* ---- Files ---- */

static int read_text(int fd, size_t size, char **ret_text, size_t *ret_len)
{
    char *text = malloc(size + 1);
    check(text != NULL);
    size_t len = 0;
    ssize_t got;
    while (len < size && ((got = read(fd, text + len, size - len)) > 0 || errno == EINTR)) {
        if (got == 0)
            break;
        len += got > 0 ? (size_t)got : 0;
    }
    *ret_text = text;
    *ret_len = len;
    return 0;
}

static void read_file(struct secret_file *file)
{
    free(file->text);
    file->text = NULL;
    file->len = 0;
    file->error = 0;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &file->state) < 0)
        file->error = -errno;
    else if (!S_ISREG(file->state.st_mode))
        file->error = S_ISDIR(file->state.st_mode) ? -EISDIR : -EINVAL;
    else if (file->state.st_size > (off_t)FILE_MAX)
        file->error = -EFBIG;
    else
        file->error = read_text(fd, (size_t)file->state.st_size, &file->text, &file->len);
    if (fd >= 0)
        close(fd);
}

static bool same_state(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* True if what it says has changed. */
static bool look_at(struct secret_file *file)
{
    struct stat state;
    int error = stat(file->path, &state) < 0 ? -errno : 0;
    if (file->seen && error == file->error && (error != 0 || same_state(&state, &file->state)))
        return false;
    char *former = file->text;
    size_t former_len = file->len;
    int former_error = file->error;
    file->text = NULL;
    read_file(file);
    bool changed = !file->seen || file->error != former_error || file->len != former_len ||
                   (former_len > 0 && memcmp(former, file->text, former_len) != 0);
    file->seen = true;
    free(former);
    return changed;
}

static struct secret_file *find_file(const struct provision *provision, const char *path)
{
    struct secret_file *file = provision->files;
    while (file != NULL && strcmp(file->path, path) != 0)
        file = file->next;
    return file;
}

static void add_file(struct provision *provision, const char *path)
{
    if (path == NULL || path[0] == '\0' || find_file(provision, path) != NULL)
        return;
    size_t len = strlen(path);
    struct secret_file *file = calloc(1, sizeof(*file) + len + 1);
    check(file != NULL);
    memcpy(file->path, path, len + 1);
    file->next = provision->files;
    provision->files = file;
    look_at(file);
}

/* ---- What a client needs ---- */

static bool given(const char *text)
{
    return text[0] != '\0';
}

struct client {
    const struct config_http_client *http;
    bool uses_tls;
};

static size_t client_count(const struct provision *provision, enum provision_role role)
{
    const struct config *config = provision->config;
    return role == PROVISION_SCRAPERS ? config->scrape_configs.len + provision->supplied.len
                                      : config->remote_write.len;
}

static const struct config_job *job_at(const struct provision *provision, size_t i)
{
    const struct config_jobs *jobs = &provision->config->scrape_configs;
    return i < jobs->len ? &jobs->items[i] : provision->supplied.items[i - jobs->len].job;
}

static bool is_supplied(const struct provision *provision, enum provision_role role, size_t i)
{
    return role == PROVISION_SCRAPERS && i >= provision->config->scrape_configs.len;
}

static struct client client_at(const struct provision *provision, enum provision_role role,
                               size_t i)
{
    const struct config *config = provision->config;
    if (role == PROVISION_SCRAPERS) {
        const struct config_job *job = job_at(provision, i);
        bool uses_tls = provision->https[role][i] || job->scheme == CONFIG_SCHEME_HTTPS ||
                        http_rules_has_tls(&job->http.tls_config);
        return (struct client){&job->http, uses_tls};
    }
    const struct config_remote *remote = &config->remote_write.items[i];
    bool uses_tls = provision->https[role][i] || strncasecmp(remote->url, "https:", 6) == 0;
    return (struct client){&remote->http, uses_tls};
}

static bool needs_supply(const struct client *client)
{
    const struct config_http_client *http = client->http;
    return client->uses_tls || http->basic_auth.given || http->authorization.given ||
           http->oauth2.given || http->http_headers.len > 0;
}

static bool needs_system_authorities(const struct client *client)
{
    const struct config_tls *tls = &client->http->tls_config;
    return client->uses_tls && !given(tls->ca) && !given(tls->ca_file) &&
           !tls->insecure_skip_verify;
}

static void find_system_file(struct provision *provision)
{
    provision->system_file = sd_system_authorities();
    if (provision->system_file == NULL)
        log_warn(MSG("this system has no list of certificate authorities: https works only where "
                     "tls_config says whom to believe"));
}

static void add_files(struct provision *provision, const struct client *client)
{
    const struct config_http_client *http = client->http;
    add_file(provision, http->basic_auth.username_file);
    add_file(provision, http->basic_auth.password_file);
    add_file(provision, http->authorization.credentials_file);
    add_file(provision, http->tls_config.ca_file);
    add_file(provision, http->tls_config.cert_file);
    add_file(provision, http->tls_config.key_file);
    for (size_t i = 0; i < http->http_headers.len; i++) {
        const struct config_strings *files = &http->http_headers.items[i].files;
        for (size_t k = 0; k < files->len; k++)
            add_file(provision, files->items[k]);
    }
    if (!needs_system_authorities(client))
        return;
    if (provision->system_file == NULL)
        find_system_file(provision);
    add_file(provision, provision->system_file);
}

/* ---- Putting a set together ---- */

struct maker {
    const struct provision *provision;
    struct arena *arena;
    struct supply *supply;
    bool supplied;
};

/* A Target Allocator writes this for secrets, unless it is asked over TLS. */
#define MASKED "<secret>"

/* The first failure is the one that requests fail with. */
static void fail(const struct maker *maker, const struct strbuf *text)
{
    if (maker->supply->error.len == 0)
        maker->supply->error = arena_slice(maker->arena, slice_make(text->text, text->len));
}

static void fail_unreadable(const struct maker *maker, const char *what,
                            const struct secret_file *file)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text, "unable to read %s: unable to read file %s: %s", what, file->path,
                err_text(file->error));
    fail(maker, &text);
    strbuf_fini(&text);
}

static void fail_masked(const struct maker *maker, const char *what)
{
    struct strbuf text = STRBUF_GROWING;
    strbuf_addf(&text,
                "%s: the Target Allocator tells secrets over https only, or with "
                "allow_insecure_auth_secrets",
                what);
    fail(maker, &text);
    strbuf_fini(&text);
}

/* What stands in the configuration, or in the file that it names. */
static struct slice value_of(const struct maker *maker, const char *inlined, const char *path,
                             const char *what)
{
    if (maker->supplied && strcmp(inlined, MASKED) == 0)
        fail_masked(maker, what);
    if (given(inlined) || !given(path))
        return slice_of(inlined);
    const struct secret_file *file = find_file(maker->provision, path);
    if (file->error != 0) {
        fail_unreadable(maker, what, file);
        return SLICE_LITERAL("");
    }
    return sd_trimmed(slice_make(file->text, file->len));
}

static const struct token *find_token(const struct provision *provision,
                                      const struct config_oauth2 *config)
{
    const struct client_token *entry = provision->tokens;
    while (entry != NULL && entry->config != config)
        entry = entry->next;
    return entry != NULL ? entry->token : NULL;
}

static void use_token(const struct maker *maker, const struct config_oauth2 *config)
{
    const struct token *token = find_token(maker->provision, config);
    struct slice error = SLICE_LITERAL("oauth2: the token has not come yet");
    struct slice value = SLICE_LITERAL("");
    if (token != NULL)
        token_get(token, &value, &error);
    if (value.len > 0)
        maker->supply->authorization = value;
    else
        maker->supply->error = error;
}

static void make_authorization(const struct maker *maker, const struct config_http_client *http)
{
    if (http->oauth2.given) {
        use_token(maker, &http->oauth2);
        return;
    }
    struct strbuf value = STRBUF_GROWING;
    const struct config_basic_auth *basic = &http->basic_auth;
    const struct config_authorization *other = &http->authorization;
    if (basic->given)
        http_auth_basic(
            &value, value_of(maker, basic->username, basic->username_file, "basic auth username"),
            value_of(maker, basic->password, basic->password_file, "basic auth password"));
    else if (other->given)
        http_auth_scheme(&value, slice_of(other->type),
                         value_of(maker, other->credentials, other->credentials_file,
                                  "authorization credentials"));
    maker->supply->authorization = arena_slice(maker->arena, slice_make(value.text, value.len));
    strbuf_fini(&value);
}

static void make_fields(const struct maker *maker, const struct config_http_headers *headers)
{
    size_t most = 0, len = 0;
    for (size_t i = 0; i < headers->len; i++)
        most += headers->items[i].values.len + headers->items[i].secrets.len +
                headers->items[i].files.len;
    struct supply_field *fields = arena_alloc(maker->arena, most * sizeof(*fields));
    for (size_t i = 0; i < headers->len; i++) {
        const struct config_http_header *header = &headers->items[i];
        struct slice name = slice_of(header->name);
        for (size_t k = 0; k < header->values.len; k++)
            fields[len++] = (struct supply_field){name, slice_of(header->values.items[k])};
        for (size_t k = 0; k < header->secrets.len; k++)
            fields[len++] = (struct supply_field){
                name, value_of(maker, header->secrets.items[k], "", "headers secret")};
        for (size_t k = 0; k < header->files.len; k++)
            fields[len++] = (struct supply_field){
                name, value_of(maker, "", header->files.items[k], "headers file")};
    }
    maker->supply->fields = (struct supply_fields){fields, len};
}

static void make_tls(const struct maker *maker, const struct client *client)
{
    const struct config_tls *tls = &client->http->tls_config;
    if (!client->uses_tls)
        return;
    struct supply *supply = maker->supply;
    supply->has_tls = true;
    supply->ca = value_of(maker, tls->ca, tls->ca_file, "CA cert");
    supply->cert = value_of(maker, tls->cert, tls->cert_file, "client cert");
    supply->key = value_of(maker, tls->key, tls->key_file, "client key");
    if (needs_system_authorities(client) && maker->provision->system_file != NULL)
        supply->ca = value_of(maker, "", maker->provision->system_file, "CA cert");
}

int provision_seal(const struct provision *provision, enum provision_role role, int *ret_fd,
                   struct errctx *reterr)
{
    struct arena arena = {0};
    size_t len = client_count(provision, role);
    struct supply *items = arena_alloc(&arena, len * sizeof(*items));
    for (size_t i = 0; i < len; i++) {
        struct client client = client_at(provision, role, i);
        struct maker maker = {provision, &arena, &items[i], is_supplied(provision, role, i)};
        make_authorization(&maker, client.http);
        make_fields(&maker, &client.http->http_headers);
        make_tls(&maker, &client);
        if (maker.supplied)
            items[i].job =
                provision->supplied.items[i - provision->config->scrape_configs.len].bytes;
    }
    const struct supplies supplies = {
        .config_generation = provision->config->generation, .items = items, .len = len};
    int err = supplies_seal(&supplies, ret_fd, reterr);
    arena_fini(&arena);
    return err;
}

/* ---- Tokens ---- */

static void on_token(void *context)
{
    struct client_token *entry = context;
    entry->provision->token_changed = true;
}

static void add_token(struct provision *provision, const struct client *client)
{
    const struct config_oauth2 *config = &client->http->oauth2;
    if (!config->given || provision->host == NULL || provision->host->loop == NULL)
        return;
    struct client_token *entry = calloc(1, sizeof(*entry));
    check(entry != NULL);
    *entry = (struct client_token){provision->tokens, config, NULL, provision};
    entry->token = token_new(provision->host, config, on_token, entry);
    provision->tokens = entry;
}

/* The first one of the list. */
static void drop_token(struct client_token **list)
{
    struct client_token *entry = *list;
    *list = entry->next;
    token_free(entry->token);
    free(entry);
}

static void drop_file(struct secret_file **list)
{
    struct secret_file *file = *list;
    *list = file->next;
    free(file->text);
    free(file);
}

/* ---- The whole ---- */

static void add_clients(struct provision *provision, enum provision_role role, size_t first)
{
    size_t len = client_count(provision, role);
    for (size_t i = first; i < len; i++) {
        struct client client = client_at(provision, role, i);
        add_files(provision, &client);
        if (find_token(provision, &client.http->oauth2) == NULL)
            add_token(provision, &client);
    }
}

static bool *new_flags(size_t len)
{
    bool *flags = calloc(len + 1, sizeof(*flags));
    check(flags != NULL);
    return flags;
}

struct provision *provision_new(const struct config *config, struct source_host *host)
{
    struct provision *provision = calloc(1, sizeof(*provision));
    check(provision != NULL);
    provision->config = config;
    provision->host = host;
    for (int role = 0; role < PROVISION_ROLES; role++) {
        provision->https[role] = new_flags(client_count(provision, (enum provision_role)role));
        add_clients(provision, (enum provision_role)role, 0);
    }
    return provision;
}

static bool has_client(const struct supplied_list *list, const struct config_oauth2 *config)
{
    size_t i = 0;
    while (i < list->len && &list->items[i].job->http.oauth2 != config)
        i++;
    return i < list->len;
}

/* Jobs that are still there, at other places perhaps, need what they needed. */
static void keep_flags(struct provision *provision, const struct supplied_list *former)
{
    size_t first = provision->config->scrape_configs.len;
    bool *old = provision->https[PROVISION_SCRAPERS];
    bool *flags = new_flags(client_count(provision, PROVISION_SCRAPERS));
    memcpy(flags, old, first * sizeof(*flags));
    for (size_t i = 0; i < provision->supplied.len; i++) {
        for (size_t k = 0; k < former->len; k++) {
            if (former->items[k].job == provision->supplied.items[i].job)
                flags[first + i] = old[first + k];
        }
    }
    free(old);
    provision->https[PROVISION_SCRAPERS] = flags;
}

bool provision_expect_https(struct provision *provision, enum provision_role role, uint64_t entry)
{
    if (entry >= client_count(provision, role) || client_at(provision, role, entry).uses_tls)
        return false;
    provision->https[role][entry] = true;
    struct client client = client_at(provision, role, entry);
    add_files(provision, &client);
    return true;
}

void provision_take_jobs(struct provision *provision, struct supplied_list jobs)
{
    const struct supplied_list former = provision->supplied;
    struct client_token **link = &provision->tokens;
    while (*link != NULL) {
        if (has_client(&former, (*link)->config) && !has_client(&jobs, (*link)->config))
            drop_token(link);
        else
            link = &(*link)->next;
    }
    provision->supplied = jobs;
    keep_flags(provision, &former);
    add_clients(provision, PROVISION_SCRAPERS, provision->config->scrape_configs.len);
}

void provision_free(struct provision *provision)
{
    while (provision->tokens != NULL)
        drop_token(&provision->tokens);
    while (provision->files != NULL)
        drop_file(&provision->files);
    for (int role = 0; role < PROVISION_ROLES; role++)
        free(provision->https[role]);
    free(provision);
}

bool provision_poll(struct provision *provision)
{
    bool changed = provision->token_changed;
    provision->token_changed = false;
    for (struct secret_file *file = provision->files; file != NULL; file = file->next)
        changed |= look_at(file);
    return changed;
}

bool provision_is_patient(const struct provision *provision)
{
    return provision->files == NULL && provision->tokens == NULL;
}

bool provision_is_needed(const struct provision *provision, enum provision_role role)
{
    if (role == PROVISION_SCRAPERS && provision->config->limpet.target_allocator.given)
        return true;
    for (size_t i = 0; i < client_count(provision, role); i++) {
        struct client client = client_at(provision, role, i);
        if (needs_supply(&client))
            return true;
    }
    return false;
}
