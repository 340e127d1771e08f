/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/sd_credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/strbuf.h"
#include "http/auth.h"

/* No credential and no list of authorities is larger. */
#define FILE_MAX ((size_t)4 << 20)

/* Where systems keep the authorities they believe. As Go. */
static const char *const system_files[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

const char *sd_system_authorities(void)
{
    const char *path = getenv("SSL_CERT_FILE");
    if (path != NULL && access(path, R_OK) == 0)
        return path;
    for (size_t i = 0; i < sizeof(system_files) / sizeof(system_files[0]); i++) {
        if (access(system_files[i], R_OK) == 0)
            return system_files[i];
    }
    return NULL;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice sd_trimmed(struct slice text)
{
    while (text.len > 0 && is_space(text.ptr[0]))
        text = slice_make(text.ptr + 1, text.len - 1);
    while (text.len > 0 && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

static int read_open(int fd, struct strbuf *content)
{
    char piece[4096];
    ssize_t got;
    while ((got = read(fd, piece, sizeof(piece))) > 0) {
        strbuf_add(content, piece, (size_t)got);
        if (content->len > FILE_MAX)
            return -EFBIG;
    }
    return got < 0 ? -errno : 0;
}

int sd_read_file(const char *path, struct arena *arena, struct slice *ret_text,
                 struct errctx *reterr)
{
    struct strbuf content = STRBUF_GROWING;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int err = fd < 0 ? -errno : read_open(fd, &content);
    if (fd >= 0)
        close(fd);
    if (err == 0)
        *ret_text = arena_slice(arena, sd_trimmed(slice_make(content.text, content.len)));
    strbuf_fini(&content);
    return err == 0
               ? 0
               : err_set(reterr, ERR_CONFIG, "unable to read file %s: %s", path, err_text(err));
}

/* What stands in the configuration, or in the file that it names. */
static int value_of(const char *inlined, const char *path, const char *what, struct arena *arena,
                    struct slice *ret_value, struct errctx *reterr)
{
    *ret_value = slice_of(inlined);
    if (inlined[0] != '\0' || path[0] == '\0')
        return 0;
    int err = sd_read_file(path, arena, ret_value, reterr);
    return err == 0 ? 0 : err_prefix(reterr, err, "unable to read %s", what);
}

static int read_authorization(const struct config_http_client *http, struct arena *arena,
                              struct slice *ret_value, struct errctx *reterr)
{
    struct strbuf value = STRBUF_GROWING;
    struct slice first = SLICE_LITERAL(""), second = SLICE_LITERAL("");
    const struct config_basic_auth *basic = &http->basic_auth;
    const struct config_authorization *other = &http->authorization;
    int err = 0;
    if (basic->given) {
        err = value_of(basic->username, basic->username_file, "basic auth username", arena, &first,
                       reterr);
        if (err == 0)
            err = value_of(basic->password, basic->password_file, "basic auth password", arena,
                           &second, reterr);
        if (err == 0)
            http_auth_basic(&value, first, second);
    } else if (other->given) {
        err = value_of(other->credentials, other->credentials_file, "authorization credentials",
                       arena, &first, reterr);
        if (err == 0)
            http_auth_scheme(&value, slice_of(other->type), first);
    }
    *ret_value = arena_slice(arena, slice_make(value.text, value.len));
    strbuf_fini(&value);
    return err;
}

static struct slice read_system_authorities(struct arena *arena)
{
    struct slice text;
    const char *path = sd_system_authorities();
    if (path == NULL || sd_read_file(path, arena, &text, NULL) != 0)
        return SLICE_LITERAL(""); /* then nobody is believed, which the handshake says */
    return text;
}

/* With system authorities where nobody is named, or where they are asked for besides. */
static struct slice complete_authorities(const struct config_tls *config, struct slice named,
                                         struct arena *arena)
{
    if (config->insecure_skip_verify || (named.len > 0 && !config->include_system_ca_certs_pool))
        return named;
    struct slice system = read_system_authorities(arena);
    if (named.len == 0 || system.len == 0)
        return named.len == 0 ? system : named;
    struct strbuf both = STRBUF_GROWING;
    strbuf_addf(&both, "%.*s\n%.*s", SLICE_ARG(named), SLICE_ARG(system));
    struct slice result = arena_slice(arena, slice_make(both.text, both.len));
    strbuf_fini(&both);
    return result;
}

static int read_tls(const struct config_tls *config, struct arena *arena,
                    struct net_tls_options *tls, struct errctx *reterr)
{
    static const enum net_tls_version versions[] = {
        [CONFIG_TLS_DEFAULT] = NET_TLS_DEFAULT, [CONFIG_TLS_1_0] = NET_TLS_1_0,
        [CONFIG_TLS_1_1] = NET_TLS_1_1,         [CONFIG_TLS_1_2] = NET_TLS_1_2,
        [CONFIG_TLS_1_3] = NET_TLS_1_3,
    };
    *tls = (struct net_tls_options){.server_name = slice_of(config->server_name),
                                    .min_version = versions[config->min_version],
                                    .max_version = versions[config->max_version],
                                    .insecure_skip_verify = config->insecure_skip_verify};
    int err = value_of(config->ca, config->ca_file, "CA cert", arena, &tls->ca, reterr);
    if (err == 0)
        err = value_of(config->cert, config->cert_file, "client cert", arena, &tls->cert, reterr);
    if (err == 0)
        err = value_of(config->key, config->key_file, "client key", arena, &tls->key, reterr);
    if (err == 0)
        tls->ca = complete_authorities(config, tls->ca, arena);
    return err;
}

int sd_credentials_read(const struct config_http_client *http, bool https, struct arena *arena,
                        struct sd_credentials *ret_credentials, struct errctx *reterr)
{
    *ret_credentials = (struct sd_credentials){.authorization = SLICE_LITERAL("")};
    int err = read_authorization(http, arena, &ret_credentials->authorization, reterr);
    if (err == 0 && https)
        err = read_tls(&http->tls_config, arena, &ret_credentials->tls, reterr);
    return err;
}
