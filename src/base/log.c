/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strbuf.h"

static struct {
    enum log_level level;
    enum log_format format;
    const char *component;
} state = {LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, "limpet"};

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"logfmt", "json"};

void log_init(enum log_level level, enum log_format format, const char *component)
{
    state.level = level;
    state.format = format;
    state.component = component;
}

bool log_level_parse(const char *word, enum log_level *ret_level)
{
    for (int i = 0; i < 4; i++) {
        if (strcmp(word, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(const char *word, enum log_format *ret_format)
{
    for (int i = 0; i < 2; i++) {
        if (strcmp(word, format_names[i]) == 0) {
            *ret_format = (enum log_format)i;
            return true;
        }
    }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

const char *log_format_name(enum log_format format)
{
    return format_names[format];
}

enum log_level log_level_now(void)
{
    return state.level;
}

enum log_format log_format_now(void)
{
    return state.format;
}

static void add_time(struct strbuf *line)
{
    int64_t now = clock_wall_ns();
    time_t seconds = (time_t)(now / NS_PER_S);
    struct tm utc;
    char text[32];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    strbuf_addf(line, "%s.%03dZ", text, (int)(now % NS_PER_S / NS_PER_MS));
}

static bool needs_quotes(const char *text, size_t len)
{
    if (len == 0)
        return true;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return true;
    }
    return false;
}

static void add_text(struct strbuf *line, const char *text, size_t len)
{
    if (state.format == LOG_FORMAT_JSON || needs_quotes(text, len))
        strbuf_add_json(line, text, len);
    else
        strbuf_add(line, text, len);
}

static void add_key(struct strbuf *line, const char *key)
{
    if (state.format == LOG_FORMAT_JSON)
        strbuf_addf(line, ",\"%s\":", key);
    else
        strbuf_addf(line, " %s=", key);
}

static void add_field(struct strbuf *line, const struct log_field *field)
{
    add_key(line, field->key);
    switch (field->kind) {
    case LOG_FIELD_INT:
        strbuf_addf(line, "%" PRId64, field->number);
        break;
    case LOG_FIELD_SLICE:
        add_text(line, field->text, (size_t)field->len);
        break;
    case LOG_FIELD_TEXT:
        add_text(line, field->text, strlen(field->text));
        break;
    case LOG_FIELD_END:
        break;
    }
}

void log_write(enum log_level level, const struct log_field *fields)
{
    if (level < state.level)
        return;
    char room[4096];
    struct strbuf line = STRBUF_FIXED(room);
    bool json = state.format == LOG_FORMAT_JSON;
    strbuf_addf(&line, json ? "{\"ts\":\"" : "ts=");
    add_time(&line);
    strbuf_addf(&line, json ? "\",\"level\":\"%s\",\"component\":\"%s\"" : " level=%s component=%s",
                level_names[level], state.component);
    for (const struct log_field *field = fields; field->kind != LOG_FIELD_END; field++)
        add_field(&line, field);
    if (line.len > sizeof(room) - 3)
        line.len = sizeof(room) - 3;
    if (json)
        room[line.len++] = '}';
    room[line.len++] = '\n';
    /* A log that cannot be written is no reason to stop. */
    ssize_t ignored = write(STDERR_FILENO, room, line.len);
    (void)ignored;
}
