/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scrapers/request.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/strbuf.h"
#include "http/request.h"

/* Weights count down from here, as Prometheus' do: one more than the protocols it knows. */
#define FIRST_WEIGHT 6

/* NULL: not asked for. */
static const char *media_type(enum config_protocol protocol)
{
    switch (protocol) {
    case CONFIG_PROTOCOL_PROTO:
        return "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
               "encoding=delimited";
    case CONFIG_PROTOCOL_OPENMETRICS_1_0_0:
        return "application/openmetrics-text;version=1.0.0";
    case CONFIG_PROTOCOL_OPENMETRICS_0_0_1:
        return "application/openmetrics-text;version=0.0.1";
    case CONFIG_PROTOCOL_TEXT_1_0_0:
        return "text/plain;version=1.0.0";
    case CONFIG_PROTOCOL_TEXT_0_0_4:
        return "text/plain;version=0.0.4";
    default:
        return NULL;
    }
}

/* Of the formats that can hold any name, how names are to be written. */
static const char *escaping_of(enum config_protocol protocol, enum config_escaping escaping)
{
    static const char *const parameters[] = {
        [CONFIG_ESCAPING_NONE] = "",
        [CONFIG_ESCAPING_ALLOW_UTF_8] = ";escaping=allow-utf-8",
        [CONFIG_ESCAPING_UNDERSCORES] = ";escaping=underscores",
        [CONFIG_ESCAPING_DOTS] = ";escaping=dots",
        [CONFIG_ESCAPING_VALUES] = ";escaping=values",
    };
    bool any_name =
        protocol == CONFIG_PROTOCOL_OPENMETRICS_1_0_0 || protocol == CONFIG_PROTOCOL_TEXT_1_0_0;
    return any_name ? parameters[escaping] : "";
}

const char *request_accept(const struct config_protocols *protocols, enum config_escaping escaping,
                           char text[static REQUEST_ACCEPT_SIZE])
{
    struct strbuf accept = {text, 0, REQUEST_ACCEPT_SIZE, true, false};
    int weight = FIRST_WEIGHT;
    for (size_t i = 0; i < protocols->len; i++) {
        const char *type = media_type(protocols->items[i]);
        if (type != NULL)
            strbuf_addf(&accept, "%s%s;q=0.%d,", type, escaping_of(protocols->items[i], escaping),
                        weight--);
    }
    strbuf_addf(&accept, "*/*;q=0.%d", weight);
    return text;
}

const char *request_fallback(enum config_protocol protocol)
{
    switch (protocol) {
    case CONFIG_PROTOCOL_NONE:
        return NULL;
    case CONFIG_PROTOCOL_PROTO:
        return "PrometheusProto";
    case CONFIG_PROTOCOL_TEXT_0_0_4:
        return "PrometheusText0.0.4";
    case CONFIG_PROTOCOL_TEXT_1_0_0:
        return "PrometheusText1.0.0";
    case CONFIG_PROTOCOL_OPENMETRICS_0_0_1:
        return "OpenMetricsText0.0.1";
    case CONFIG_PROTOCOL_OPENMETRICS_1_0_0:
        return "OpenMetricsText1.0.0";
    }
    return NULL;
}

/* Seconds as the shortest plain decimal: 10, 1.5. */
static const char *format_seconds(int64_t ms, char text[static 32])
{
    int len = snprintf(text, 32, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    text[len] = '\0';
    return text;
}

enum { FIXED_FIELDS = 4, OPTIONAL_FIELDS = 2 };

int request_head(const struct request_line *line, const char *accept, int64_t timeout_ms,
                 char *buffer, size_t cap, size_t *ret_len, struct errctx *why)
{
    char seconds[32];
    size_t n = FIXED_FIELDS;
    struct http_field fields[FIXED_FIELDS + OPTIONAL_FIELDS] = {
        {SLICE_LITERAL("User-Agent"), SLICE_LITERAL("limpet/" PACKAGE_VERSION)},
        {SLICE_LITERAL("Accept"), slice_of(accept)},
        {SLICE_LITERAL("Accept-Encoding"),
         line->gzip ? SLICE_LITERAL("gzip") : SLICE_LITERAL("identity")},
        {SLICE_LITERAL("X-Prometheus-Scrape-Timeout-Seconds"),
         slice_of(format_seconds(timeout_ms, seconds))},
    };
    if (line->proxy_authorization.len > 0)
        fields[n++] =
            (struct http_field){SLICE_LITERAL("Proxy-Authorization"), line->proxy_authorization};
    if (line->referer.len > 0)
        fields[n++] = (struct http_field){SLICE_LITERAL("Referer"), line->referer};
    const struct http_request request = {
        .method = SLICE_LITERAL("GET"),
        .target = line->target,
        .host = line->host,
        .fields = fields,
        .n_fields = n,
        .content_length = -1,
    };
    return http_request_write(&request, buffer, cap, ret_len, why);
}
