/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One line an event to stderr, in logfmt or JSON like Prometheus' own. Control plane only: data
 * paths count, they do not log an event each.
 *
 *     log_info(MSG("configuration loaded"), STR("file", path), INT("jobs", n));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_field {
    enum { LOG_FIELD_END, LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_SLICE } kind;
    int len; /* of a LOG_FIELD_SLICE */
    const char *key;
    const char *text;
    int64_t number;
};

/* Log lines carry component=<component>; the string must outlive the process' logging. */
void log_init(enum log_level level, enum log_format format, const char *component);

/* debug|info|warn|error and logfmt|json; false for any other word. */
bool log_level_parse(const char *word, enum log_level *ret_level);
bool log_format_parse(const char *word, enum log_format *ret_format);
const char *log_level_name(enum log_level level);
const char *log_format_name(enum log_format format);
enum log_level log_level_now(void);
enum log_format log_format_now(void);

/* fields end with LOG_END; the first one should be MSG. One write(2) a line. */
void log_write(enum log_level level, const struct log_field *fields);

#define STR(name, value)         {LOG_FIELD_TEXT, 0, (name), (value), 0}
#define INT(name, value)         {LOG_FIELD_INT, 0, (name), 0, (int64_t)(value)}
#define SLICE(name, slice_value) {LOG_FIELD_SLICE, (int)(slice_value).len, (name), (slice_value).ptr, 0}
#define MSG(text)                STR("msg", text)
#define LOG_END                  {LOG_FIELD_END, 0, 0, 0, 0}

#define log_at(level, ...) log_write((level), (const struct log_field[]){__VA_ARGS__, LOG_END})
#define log_debug(...)     log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)      log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)      log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...)     log_at(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
