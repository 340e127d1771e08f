/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "writer/compress.h"
#include "writer/wire.h"

enum {
    UNPACKED_MAX = 256 << 20,
    V1_REQUEST_SERIES = 1 << 3 | 2,
    V1_SERIES_LABEL = 1 << 3 | 2,
    V1_SERIES_SAMPLE = 2 << 3 | 2,
    SAMPLE_MS = 2 << 3 | 0,
    WIRE_TYPE = 7,
    CUSTOM_BUCKETS = -53
};

/* ---- Reading ---- */

/* What has not been read; `at` NULL: it is no message. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

struct field {
    uint64_t tag;
    uint64_t number;      /* of a varint, or the bits of eight bytes */
    struct slice bytes;   /* of a field with a length */
    const uint8_t *start; /* of its tag */
};

static struct reader reader_of(struct slice bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    static const uint8_t nothing;
    if (at == NULL)
        at = &nothing;
    return (struct reader){at, at + bytes.len};
}

static bool fail(struct reader *reader)
{
    reader->at = NULL;
    return false;
}

static bool read_varint(struct reader *reader, uint64_t *ret_value)
{
    *ret_value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (reader->at == reader->end)
            break;
        uint8_t byte = *reader->at++;
        *ret_value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return fail(reader);
}

static bool read_fixed64(struct reader *reader, uint64_t *ret_value)
{
    if (reader->end - reader->at < 8)
        return fail(reader);
    *ret_value = 0;
    for (int i = 0; i < 8; i++)
        *ret_value |= (uint64_t)*reader->at++ << (8 * i);
    return true;
}

/* False: the end, or no message (reader->at is NULL then). */
static bool read_field(struct reader *reader, struct field *field)
{
    if (reader->at == reader->end)
        return false;
    *field = (struct field){.start = reader->at};
    if (!read_varint(reader, &field->tag))
        return false;
    switch (field->tag & WIRE_TYPE) {
    case 0:
        return read_varint(reader, &field->number);
    case 1:
        return read_fixed64(reader, &field->number);
    case 2:
        if (!read_varint(reader, &field->number) ||
            field->number > (uint64_t)(reader->end - reader->at))
            return fail(reader);
        field->bytes = slice_make(reader->at, (size_t)field->number);
        reader->at += field->number;
        return true;
    default:
        return fail(reader);
    }
}

/* The number in field `tag` of a message, the last one; 0: there is none. False: no message. */
static bool find_number(struct slice bytes, uint64_t tag, uint64_t *ret_number)
{
    struct reader reader = reader_of(bytes);
    struct field field;
    *ret_number = 0;
    while (read_field(&reader, &field)) {
        if (field.tag == tag)
            *ret_number = field.number;
    }
    return reader.at != NULL;
}

static uint64_t series_tag(uint32_t version)
{
    return version == 2 ? WIRE_V2_REQUEST_SERIES : V1_REQUEST_SERIES;
}

/* ---- Unpacking ---- */

static int take_symbols(struct message *message)
{
    struct reader reader = reader_of(slice_make(message->bytes, message->len));
    struct field field;
    size_t room = 0;
    while (read_field(&reader, &field)) {
        if (field.tag != WIRE_V2_REQUEST_SYMBOL)
            continue;
        if (message->symbol_count == room) {
            room = room == 0 ? 64 : 2 * room;
            message->symbols = realloc(message->symbols, room * sizeof *message->symbols);
            check(message->symbols != NULL);
        }
        message->symbols[message->symbol_count++] = field.bytes;
    }
    return reader.at != NULL ? 0 : ERR_CORRUPT;
}

int message_unpack(struct slice body, uint32_t version, struct message *ret_message)
{
    *ret_message = (struct message){.version = version};
    if (version != 1 && version != 2)
        return ERR_CORRUPT;
    int err = compress_undo(body, UNPACKED_MAX, &ret_message->bytes, &ret_message->len);
    if (err == 0 && version == 2)
        err = take_symbols(ret_message);
    if (err != 0)
        message_free(ret_message);
    return err;
}

void message_free(struct message *message)
{
    free(message->bytes);
    free(message->symbols);
    *message = (struct message){0};
}

/* ---- Series ---- */

/* A series with its one item. */
struct series {
    enum delivery_kind kind;
    int64_t ms;
    uint64_t scrape;     /* hash of what series of a scrape have in common */
    struct slice labels; /* 2.0: packed refs; 1.0: the whole message */
    struct slice item;   /* message of the sample, histogram or exemplar */
};

static bool symbol_at(const struct message *message, uint64_t ref, struct slice *ret_text)
{
    if (ref >= message->symbol_count)
        return false;
    *ret_text = message->symbols[ref];
    return true;
}

static uint64_t add_label(uint64_t scrape, struct slice name, struct slice value)
{
    if (!slice_is(name, "instance") && !slice_is(name, "job"))
        return scrape;
    return hash64(value.ptr, value.len, hash64(name.ptr, name.len, scrape));
}

/* False: the end, or no message. */
static bool next_label(const struct message *message, struct reader *refs, struct slice *ret_name,
                       struct slice *ret_value)
{
    uint64_t name;
    uint64_t value;
    if (refs->at == NULL || refs->at == refs->end)
        return false;
    if (!read_varint(refs, &name) || !read_varint(refs, &value) ||
        !symbol_at(message, name, ret_name) || !symbol_at(message, value, ret_value))
        return fail(refs);
    return true;
}

static bool read_label_v1(struct slice bytes, struct slice *ret_name, struct slice *ret_value)
{
    struct reader reader = reader_of(bytes);
    struct field field;
    *ret_name = *ret_value = (struct slice){0};
    while (read_field(&reader, &field)) {
        if (field.tag == WIRE_LABEL_NAME)
            *ret_name = field.bytes;
        else if (field.tag == WIRE_LABEL_VALUE)
            *ret_value = field.bytes;
    }
    return reader.at != NULL;
}

static bool note_labels(const struct message *message, const struct field *field,
                        struct series *series)
{
    struct slice name;
    struct slice value;
    if (message->version == 1) {
        if (!read_label_v1(field->bytes, &name, &value))
            return false;
        series->scrape = add_label(series->scrape, name, value);
        return true;
    }
    series->labels = field->bytes;
    struct reader refs = reader_of(field->bytes);
    while (next_label(message, &refs, &name, &value))
        series->scrape = add_label(series->scrape, name, value);
    return refs.at != NULL;
}

static bool is_kind(uint32_t version, uint64_t tag, enum delivery_kind *ret_kind,
                    uint64_t *ret_ms_tag)
{
    uint64_t histogram = version == 2 ? WIRE_V2_SERIES_HISTOGRAM : WIRE_V1_SERIES_HISTOGRAM;
    uint64_t exemplar = version == 2 ? WIRE_V2_SERIES_EXEMPLAR : WIRE_V1_SERIES_EXEMPLAR;
    if (tag == V1_SERIES_SAMPLE) { /* the same in both */
        *ret_kind = DELIVERY_SAMPLES;
        *ret_ms_tag = SAMPLE_MS;
    } else if (tag == histogram) {
        *ret_kind = DELIVERY_HISTOGRAMS;
        *ret_ms_tag = WIRE_HISTOGRAM_MS;
    } else if (tag == exemplar) {
        *ret_kind = DELIVERY_EXEMPLARS;
        *ret_ms_tag = WIRE_EXEMPLAR_MS;
    } else {
        return false;
    }
    return true;
}

static int read_series(const struct message *message, struct slice bytes, struct series *series)
{
    struct reader reader = reader_of(bytes);
    struct field field;
    bool has_item = false;
    *series = (struct series){.labels = message->version == 1 ? bytes : (struct slice){0}};
    while (read_field(&reader, &field)) {
        uint64_t ms_tag;
        uint64_t ms;
        if (field.tag == V1_SERIES_LABEL) { /* or WIRE_V2_SERIES_LABELS, the same */
            if (!note_labels(message, &field, series))
                return ERR_CORRUPT;
        } else if (is_kind(message->version, field.tag, &series->kind, &ms_tag)) {
            if (!find_number(field.bytes, ms_tag, &ms))
                return ERR_CORRUPT;
            series->ms = (int64_t)ms;
            series->item = field.bytes;
            has_item = true;
        }
    }
    return reader.at != NULL && has_item ? 0 : ERR_CORRUPT;
}

/* ---- Writing ---- */

struct output {
    uint8_t *bytes;
    size_t len;
    size_t room;
};

/* Room for `more` bytes, which begin at the result. */
static uint8_t *make_room(struct output *output, size_t more)
{
    if (output->room - output->len < more) {
        output->room = 2 * output->room + more + 4096;
        output->bytes = realloc(output->bytes, output->room);
        check(output->bytes != NULL);
    }
    return output->bytes + output->len;
}

static void put_bytes(struct output *output, const void *bytes, size_t len)
{
    (void)wire_put_bytes(make_room(output, len), bytes, len);
    output->len += len;
}

static void put_message(struct output *output, uint8_t tag, const struct output *part)
{
    uint8_t *start = make_room(output, 1 + WIRE_VARINT_MAX + part->len);
    uint8_t *at = start;
    *at++ = tag;
    at = wire_put_varint(at, part->len);
    at = wire_put_bytes(at, part->bytes, part->len);
    output->len += (size_t)(at - start);
}

/* Labels of refs into the symbols, as labels of 1.0. */
static bool put_labels(struct output *output, const struct message *message, struct slice refs,
                       uint8_t tag)
{
    struct reader reader = reader_of(refs);
    struct slice name;
    struct slice value;
    while (next_label(message, &reader, &name, &value)) {
        uint8_t *start = make_room(output, name.len + value.len + 4 * WIRE_VARINT_MAX);
        output->len += (size_t)(wire_put_label(start, tag, name, value) - start);
    }
    return reader.at != NULL;
}

/* The fields of an item of 2.0 that 1.0 has, too; refs become labels. */
static bool put_item(struct output *output, const struct message *message,
                     const struct series *series)
{
    struct reader reader = reader_of(series->item);
    struct field field;
    while (read_field(&reader, &field)) {
        bool is_start =
            (series->kind == DELIVERY_SAMPLES && field.tag == WIRE_V2_SAMPLE_START) ||
            (series->kind == DELIVERY_HISTOGRAMS && field.tag == WIRE_V2_HISTOGRAM_START);
        if (is_start)
            continue;
        if (series->kind == DELIVERY_EXEMPLARS && field.tag == WIRE_EXEMPLAR_LABEL) {
            if (!put_labels(output, message, field.bytes, WIRE_EXEMPLAR_LABEL))
                return false;
            continue;
        }
        put_bytes(output, field.start, (size_t)(reader.at - field.start));
    }
    return reader.at != NULL;
}

static int put_as_v1(struct output *output, const struct message *message,
                     const struct series *series)
{
    static const uint8_t tags[DELIVERY_KINDS] = {
        [DELIVERY_SAMPLES] = V1_SERIES_SAMPLE,
        [DELIVERY_HISTOGRAMS] = WIRE_V1_SERIES_HISTOGRAM,
        [DELIVERY_EXEMPLARS] = WIRE_V1_SERIES_EXEMPLAR,
    };
    struct output whole = {0};
    struct output item = {0};
    bool good = put_labels(&whole, message, series->labels, V1_SERIES_LABEL) &&
                put_item(&item, message, series);
    if (good) {
        put_message(&whole, tags[series->kind], &item);
        put_message(output, V1_REQUEST_SERIES, &whole);
    }
    free(whole.bytes);
    free(item.bytes);
    return good ? 0 : ERR_CORRUPT;
}

/* ---- Choosing ---- */

static bool has_custom_buckets(const struct series *series)
{
    uint64_t schema;
    const uint64_t zigzag = ((uint64_t)-CUSTOM_BUCKETS << 1) - 1;
    return series->kind == DELIVERY_HISTOGRAMS &&
           find_number(series->item, WIRE_HISTOGRAM_SCHEMA, &schema) && schema == zigzag;
}

static void note_sent(struct message_part *part, const struct series *series)
{
    bool is_first = verdict_sum(&part->sent) == 0;
    part->sent.of[series->kind]++;
    if (is_first || series->ms < part->oldest_ms)
        part->oldest_ms = series->ms;
    if (is_first || series->ms > part->newest_ms)
        part->newest_ms = series->ms;
}

static int take_series(struct output *output, const struct message *message,
                       struct message_choice choice, const struct field *field, size_t len,
                       const struct series *series, struct message_part *part)
{
    if (series->ms < choice.oldest_ms) {
        part->too_old.of[series->kind]++;
        return 0;
    }
    bool is_changed = choice.version != message->version;
    if (is_changed && has_custom_buckets(series)) {
        part->custom_buckets++;
        return 0;
    }
    note_sent(part, series);
    if (is_changed)
        return put_as_v1(output, message, series);
    put_bytes(output, field->start, len);
    return 0;
}

/* All symbols, which stand before all series. */
static void put_symbols(struct output *output, const struct message *message)
{
    for (size_t i = 0; i < message->symbol_count; i++) {
        struct slice text = message->symbols[i];
        uint8_t *start = make_room(output, text.len + 2 * WIRE_VARINT_MAX);
        output->len += (size_t)(wire_put_text(start, WIRE_V2_REQUEST_SYMBOL, text) - start);
    }
}

static int choose(struct output *output, const struct message *message,
                  struct message_choice choice, struct message_part *part, bool *ret_more)
{
    struct reader reader = reader_of(slice_make(message->bytes, message->len));
    struct field field;
    struct series first = {0};
    if (choice.from > message->len)
        return ERR_CORRUPT;
    reader.at += choice.from;
    *ret_more = false;
    part->end = message->len;
    while (read_field(&reader, &field)) {
        struct series series;
        if (field.tag != series_tag(message->version))
            continue;
        if (read_series(message, field.bytes, &series) != 0)
            return ERR_CORRUPT;
        if (!*ret_more)
            first = series;
        else if (choice.one_scrape && (series.scrape != first.scrape || series.ms != first.ms)) {
            part->end = (size_t)(field.start - message->bytes);
            break;
        }
        *ret_more = true;
        int err = take_series(output, message, choice, &field, (size_t)(reader.at - field.start),
                              &series, part);
        if (err != 0)
            return err;
    }
    return reader.at != NULL ? 0 : ERR_CORRUPT;
}

static void pack(const struct output *output, struct message_part *part)
{
    part->body = malloc(compress_room(output->len));
    check(part->body != NULL);
    part->body_len = compress_snappy(slice_make(output->bytes, output->len), (uint8_t *)part->body);
}

int message_build(const struct message *message, struct message_choice choice,
                  struct message_part *ret_part, bool *ret_more)
{
    check(choice.version == message->version || choice.version == 1);
    struct output output = {0};
    *ret_part = (struct message_part){0};
    (void)make_room(&output, message->len);
    if (choice.version == 2)
        put_symbols(&output, message);
    int err = choose(&output, message, choice, ret_part, ret_more);
    if (err == 0)
        pack(&output, ret_part);
    free(output.bytes);
    return err;
}
