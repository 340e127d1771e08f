/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/oauth2.h"

#include <stdlib.h>
#include <strings.h>

#include "config/json.h"
#include "http/auth.h"
#include "http/url.h"

/* A token is renewed so long before it ends, as Go does. */
#define MARGIN_MS 10000

/* What an error text quotes of an answer. */
#define QUOTED_MAX 256

/* ---- The request ---- */

void oauth2_add_pair(struct strbuf *body, struct slice name, struct slice value)
{
    if (body->len > 0)
        strbuf_addc(body, '&');
    http_url_add_form(body, name);
    strbuf_addc(body, '=');
    http_url_add_form(body, value);
}

void oauth2_scope(const struct config_strings *scopes, struct strbuf *text)
{
    for (size_t i = 0; i < scopes->len; i++) {
        if (i > 0)
            strbuf_addc(text, ' ');
        strbuf_adds(text, scopes->items[i]);
    }
}

static void add_scopes(struct strbuf *body, const struct config_strings *scopes)
{
    struct strbuf list = STRBUF_GROWING;
    oauth2_scope(scopes, &list);
    oauth2_add_pair(body, SLICE_LITERAL("scope"), slice_make(list.text, list.len));
    strbuf_fini(&list);
}

/* The parameters that are ours, by name. */
enum own { CLIENT_ID, CLIENT_SECRET, GRANT_TYPE, SCOPE, OWN_COUNT };

static const char *const own_names[OWN_COUNT] = {"client_id", "client_secret", "grant_type",
                                                 "scope"};

static bool is_own(const struct oauth2_client *client, enum oauth2_style style, enum own own)
{
    switch (own) {
    case CLIENT_ID:
        return style == OAUTH2_IN_BODY;
    case CLIENT_SECRET:
        return style == OAUTH2_IN_BODY && client->secret.len > 0;
    case SCOPE:
        return client->scopes.len > 0;
    default:
        return true;
    }
}

static void add_own(const struct oauth2_client *client, enum own own, struct strbuf *body)
{
    struct slice name = slice_of(own_names[own]);
    if (own == CLIENT_ID)
        oauth2_add_pair(body, name, client->id);
    else if (own == CLIENT_SECRET)
        oauth2_add_pair(body, name, client->secret);
    else if (own == GRANT_TYPE)
        oauth2_add_pair(body, name, SLICE_LITERAL("client_credentials"));
    else
        add_scopes(body, &client->scopes);
}

/* Merges two lists that are sorted by name; where both have one, ours counts, but for grant_type.
 */
void oauth2_body(const struct oauth2_client *client, enum oauth2_style style, struct strbuf *body)
{
    const struct config_map *params = &client->endpoint_params;
    size_t at = 0;
    for (int own = 0; own < OWN_COUNT; own++) {
        if (!is_own(client, style, (enum own)own))
            continue;
        while (at < params->len && strcmp(params->items[at].name, own_names[own]) < 0) {
            oauth2_add_pair(body, slice_of(params->items[at].name),
                            slice_of(params->items[at].value));
            at++;
        }
        bool is_given = at < params->len && strcmp(params->items[at].name, own_names[own]) == 0;
        if (is_given && own == GRANT_TYPE)
            continue;
        at += is_given;
        add_own(client, (enum own)own, body);
    }
    for (; at < params->len; at++)
        oauth2_add_pair(body, slice_of(params->items[at].name), slice_of(params->items[at].value));
}

void oauth2_authorization(const struct oauth2_client *client, struct strbuf *value)
{
    struct strbuf id = STRBUF_GROWING, secret = STRBUF_GROWING;
    http_url_add_form(&id, client->id);
    http_url_add_form(&secret, client->secret);
    http_auth_basic(value, slice_make(id.text, id.len), slice_make(secret.text, secret.len));
    strbuf_fini(&id);
    strbuf_fini(&secret);
}

/* ---- The answer ---- */

static struct slice text_of(const struct node *node)
{
    if (node == NULL || node->kind != NODE_SCALAR || node_is_null(node))
        return SLICE_LITERAL("");
    return node->text;
}

/* Seconds, as a number or as a text with one; 0 if it is neither. */
static int64_t lifetime_of(const struct node *expires_in)
{
    struct slice text = text_of(expires_in);
    char digits[24];
    if (text.len == 0 || text.len >= sizeof(digits))
        return 0;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    long long seconds = strtoll(digits, NULL, 10);
    if (seconds <= 0 || seconds > INT32_MAX)
        return 0;
    int64_t lifetime_ms = seconds * 1000 - MARGIN_MS;
    return lifetime_ms > 0 ? lifetime_ms : 1;
}

/* The names that servers spell in their own way. */
static struct slice scheme_of(struct slice type)
{
    static const char *const known[] = {"Bearer", "MAC", "Basic"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (type.len == strlen(known[i]) && strncasecmp(type.ptr, known[i], type.len) == 0)
            return slice_of(known[i]);
    }
    return type.len > 0 ? type : SLICE_LITERAL("Bearer");
}

static int refuse(struct slice status_text, struct slice body, const struct node *root,
                  struct errctx *reterr)
{
    struct slice code = text_of(node_get(root, "error"));
    struct slice description = text_of(node_get(root, "error_description"));
    struct strbuf why = STRBUF_GROWING;
    if (code.len > 0) {
        strbuf_addf(&why, "oauth2: \"%.*s\"", SLICE_ARG(code));
        if (description.len > 0)
            strbuf_addf(&why, " \"%.*s\"", SLICE_ARG(description));
    } else {
        if (body.len > QUOTED_MAX)
            body.len = QUOTED_MAX;
        strbuf_addf(&why, "oauth2: cannot fetch token: %.*s; response: ", SLICE_ARG(status_text));
        strbuf_add_json(&why, body.ptr, body.len);
    }
    err_set(reterr, ERR_PROTOCOL, "%s", why.text);
    strbuf_fini(&why);
    return ERR_PROTOCOL;
}

int oauth2_answer(int status, struct slice status_text, struct slice body, struct arena *arena,
                  struct oauth2_token *ret_token, struct errctx *reterr)
{
    struct errctx why;
    const struct document source = {"token", arena, &why};
    const struct node *root = NULL;
    int err = json_read_values(&source, body.ptr, body.len, &root);
    if (err != 0)
        root = NULL;
    if (status < 200 || status > 299 || text_of(node_get(root, "error")).len > 0)
        return refuse(status_text, body, root, reterr);
    if (err != 0)
        return err_set(reterr, ERR_PROTOCOL, "oauth2: cannot parse json: %s", why.text);
    struct slice token = text_of(node_get(root, "access_token"));
    if (token.len == 0)
        return err_set(reterr, ERR_PROTOCOL, "oauth2: server response missing access_token");
    struct strbuf value = STRBUF_GROWING;
    http_auth_scheme(&value, scheme_of(text_of(node_get(root, "token_type"))), token);
    ret_token->authorization = arena_slice(arena, slice_make(value.text, value.len));
    ret_token->lifetime_ms = lifetime_of(node_get(root, "expires_in"));
    strbuf_fini(&value);
    return 0;
}
