/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "discovery/jwt.h"
#include "discovery/oauth2.h"
#include "discovery/sd_client.h"
#include "discovery/sd_credentials.h"
#include "loop/loop.h"

/* A server that does not answer holds up nobody but who needs its token. */
#define TIMEOUT_NS (30 * NS_PER_S)

/* After a failure. */
#define RETRY_NS (5 * NS_PER_S)

/* No answer with a token in it is longer. */
#define ANSWER_MAX (1u << 20)

struct token {
    struct source_host *host;
    const struct config_oauth2 *config;
    struct config_http_client http; /* that asks for it */
    struct sd_client *client;       /* NULL: the URL is malformed */
    struct loop_timer due;
    void (*changed)(void *context);
    void *context;
    enum oauth2_style style; /* the one that worked, or that is tried now */
    bool is_style_known;
    int status;
    char status_text[64];
    struct strbuf answer;
    struct arena arena; /* of `authorization` */
    struct slice authorization;
    char error[512];
};

#define OWNER(pointer, member)                                                                     \
    ((struct token *)(void *)((char *)(pointer)-offsetof(struct token, member)))

static void ask(struct token *token);

static void ask_again(struct token *token, int64_t in_ns)
{
    loop_timer_set(token->host->loop, &token->due, loop_now(token->host->loop) + in_ns);
}

static void fail(struct token *token, const char *text)
{
    if (strcmp(token->error, text) != 0)
        log_warn(MSG("no token"), STR("token_url", token->config->token_url), STR("err", text));
    snprintf(token->error, sizeof(token->error), "%s", text);
    arena_reset(&token->arena);
    token->authorization = SLICE_LITERAL("");
    ask_again(token, RETRY_NS);
    token->changed(token->context);
}

/* ---- The answer ---- */

static void on_head(void *context, const struct http_head *head)
{
    struct token *token = context;
    token->status = head->status;
    snprintf(token->status_text, sizeof(token->status_text), "%.*s",
             head->status_text.len < sizeof(token->status_text)
                 ? (int)head->status_text.len
                 : (int)sizeof(token->status_text) - 1,
             head->status_text.ptr);
}

static void on_body(void *context, const uint8_t *bytes, size_t len)
{
    struct token *token = context;
    size_t room = ANSWER_MAX - token->answer.len;
    strbuf_add(&token->answer, bytes, len < room ? len : room);
}

static void take_token(struct token *token, const struct oauth2_token *given)
{
    token->is_style_known = true;
    token->error[0] = '\0';
    token->authorization = given->authorization;
    if (given->lifetime_ms > 0)
        ask_again(token, given->lifetime_ms * NS_PER_MS);
    token->changed(token->context);
}

static void take_answer(struct token *token)
{
    struct oauth2_token given;
    struct errctx why;
    arena_reset(&token->arena);
    token->authorization = SLICE_LITERAL("");
    int err = oauth2_answer(token->status, slice_of(token->status_text),
                            slice_make(token->answer.text, token->answer.len), &token->arena,
                            &given, &why);
    if (err == 0) {
        take_token(token, &given);
    } else if (!token->is_style_known && token->style == OAUTH2_IN_HEADER) {
        token->style = OAUTH2_IN_BODY;
        ask(token);
    } else {
        if (!token->is_style_known)
            token->style = OAUTH2_IN_HEADER;
        fail(token, why.text);
    }
}

static void on_done(void *context, int err, const char *text)
{
    struct token *token = context;
    char why[sizeof(token->error)];
    if (err == 0) {
        take_answer(token);
        return;
    }
    snprintf(why, sizeof(why), "oauth2: cannot fetch token: %s", text);
    fail(token, why);
}

static const struct sd_client_events events = {on_head, on_body, on_done};

/* ---- The request ---- */

static int read_secret(const struct config_oauth2 *config, struct arena *arena,
                       struct slice *ret_secret, struct errctx *reterr)
{
    *ret_secret = slice_of(config->client_secret);
    if (config->client_secret_file[0] == '\0')
        return 0;
    int err = sd_read_file(config->client_secret_file, arena, ret_secret, reterr);
    return err == 0 ? 0 : err_prefix(reterr, err, "unable to read oauth2 client secret");
}

static int read_key(const struct config_oauth2 *config, struct arena *arena, struct slice *ret_key,
                    struct errctx *reterr)
{
    *ret_key = slice_of(config->client_certificate_key);
    if (config->client_certificate_key_file[0] == '\0')
        return 0;
    int err = sd_read_file(config->client_certificate_key_file, arena, ret_key, reterr);
    return err == 0 ? 0 : err_prefix(reterr, err, "unable to read client certificate key");
}

static void post(struct token *token, const struct strbuf *form, const struct strbuf *authorization)
{
    struct sd_request request = {.target = "", .form = form->text, .timeout_ns = TIMEOUT_NS};
    if (authorization != NULL) {
        request.field_name = "Authorization";
        request.field_value = authorization->text;
    }
    strbuf_fini(&token->answer);
    sd_client_get(token->client, &request);
}

/* There is one way to ask so; nothing has to be tried. */
static int ask_by_jwt(struct token *token, struct arena *arena, struct errctx *reterr)
{
    struct strbuf form = STRBUF_GROWING;
    struct slice key;
    struct jwt_moment moment = {.now_s = clock_wall_ns() / NS_PER_S};
    token->is_style_known = true;
    check(getrandom(moment.random, sizeof(moment.random), 0) == (ssize_t)sizeof(moment.random));
    int err = read_key(token->config, arena, &key, reterr);
    if (err == 0)
        err = jwt_body(token->config, key, &moment, &form, reterr);
    if (err == 0)
        post(token, &form, NULL);
    strbuf_fini(&form);
    return err;
}

static void send_request(struct token *token, struct slice secret)
{
    const struct config_oauth2 *config = token->config;
    const struct oauth2_client asking = {slice_of(config->client_id), secret, config->scopes,
                                         config->endpoint_params};
    struct strbuf form = STRBUF_GROWING, authorization = STRBUF_GROWING;
    oauth2_body(&asking, token->style, &form);
    if (token->style == OAUTH2_IN_HEADER)
        oauth2_authorization(&asking, &authorization);
    post(token, &form, token->style == OAUTH2_IN_HEADER ? &authorization : NULL);
    strbuf_fini(&form);
    strbuf_fini(&authorization);
}

static void ask(struct token *token)
{
    struct arena arena = {0};
    struct slice secret;
    struct errctx why;
    int err;
    if (token->config->grant_type == CONFIG_GRANT_JWT) {
        err = ask_by_jwt(token, &arena, &why);
    } else {
        err = read_secret(token->config, &arena, &secret, &why);
        if (err == 0)
            send_request(token, secret);
    }
    if (err != 0)
        fail(token, why.text);
    arena_fini(&arena);
}

static void on_due(struct loop_timer *timer)
{
    ask(OWNER(timer, due));
}

/* ---- For the owner ---- */

static struct config_http_client client_of(const struct config_oauth2 *config)
{
    return (struct config_http_client){
        .basic_auth = {false, "", "", "", ""},
        .authorization = {false, "", "", ""},
        .bearer_token = "",
        .bearer_token_file = "",
        .tls_config = config->tls_config,
        .proxy = config->proxy,
        .follow_redirects = true,
    };
}

struct token *token_new(struct source_host *host, const struct config_oauth2 *config,
                        void (*changed)(void *context), void *context)
{
    struct token *token = calloc(1, sizeof(*token));
    struct errctx why;
    check(token != NULL);
    *token = (struct token){.host = host,
                            .config = config,
                            .http = client_of(config),
                            .changed = changed,
                            .context = context,
                            .due.expired = on_due};
    if (sd_client_new(host, config->token_url, &token->http, &events, token, &token->client,
                      &why) == 0)
        ask_again(token, 0);
    else
        snprintf(token->error, sizeof(token->error), "oauth2: cannot fetch token: %.400s",
                 why.text);
    return token;
}

void token_free(struct token *token)
{
    loop_timer_clear(token->host->loop, &token->due);
    if (token->client != NULL)
        sd_client_free(token->client);
    strbuf_fini(&token->answer);
    arena_fini(&token->arena);
    free(token);
}

void token_get(const struct token *token, struct slice *authorization, struct slice *error)
{
    if (token->authorization.len > 0)
        *authorization = token->authorization;
    else if (token->error[0] != '\0')
        *error = slice_of(token->error);
}
