/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/encode_v2_private.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "writer/compress.h"
#include "writer/pages.h"
#include "writer/wire.h"

enum {
    TABLE_MIN = 1024,
    REF_MAX = ENCODE_V2_REF_MAX,
    PIECES_EXTRA = 4096 /* what the compressor may add to what it gets in pieces */
};

/* ---- memory ---- */

int encoder_v2_init(struct encoder_v2 *encoder, size_t max_bytes)
{
    size_t piece = compress_room(max_bytes);
    uint64_t seed = hash_seed_make();
    *encoder = (struct encoder_v2){.room = max_bytes,
                                   .piece_room = piece,
                                   .packed_room = 3 * piece /* encode_v2_pack.c */,
                                   .seed = seed,
                                   .layouts.seed = seed};
    int err = pages_reserve(&encoder->message, piece);
    if (err == 0)
        err = pages_reserve(&encoder->symbols, max_bytes);
    if (err == 0)
        err = pages_reserve(&encoder->packed, encoder->packed_room);
    if (err != 0)
        encoder_v2_fini(encoder);
    return err;
}

void encoder_v2_fini(struct encoder_v2 *encoder)
{
    pages_release(encoder->message, encoder->piece_room);
    pages_release(encoder->symbols, encoder->room);
    pages_release(encoder->packed, encoder->packed_room);
    free(encoder->table);
    free(encoder->shared);
    free(encoder->lines);
    free(encoder->line_labels);
    free(encoder->refs);
    replicas_fini(&encoder->replicas);
    layouts_v2_fini(&encoder->layouts);
    *encoder = (struct encoder_v2){0};
}

size_t encoder_v2_body_room(const struct encoder_v2 *encoder)
{
    return encoder->packed_room;
}

/* Out of memory ends the process: the supervisor starts another, which goes on where this was. */
static void *grow(void *array, size_t size)
{
    void *grown = realloc(array, size);
    check(grown != NULL);
    return grown;
}

static void start_lines(struct encoder_v2 *encoder)
{
    if (encoder->lines == NULL) {
        encoder->lines = grow(NULL, TABLE_MIN * sizeof *encoder->lines);
        encoder->line_mask = TABLE_MIN - 1;
    } else if (encoder->line_count == 0)
        return;
    memset(encoder->lines, 0, ((size_t)encoder->line_mask + 1) * sizeof *encoder->lines);
    encoder->line_count = encoder->line_label_count = 0;
}

void encoder_v2_start(struct encoder_v2 *encoder, uint8_t *out)
{
    int64_t now_ns = clock_mono_ns();
    encoder->out = out != NULL ? out : encoder->packed;
    if (encoder->table == NULL) {
        encoder->table = grow(NULL, TABLE_MIN * sizeof *encoder->table);
        encoder->table_mask = TABLE_MIN - 1;
    }
    memset(encoder->table, 0, (encoder->table_mask + 1) * sizeof *encoder->table);
    start_lines(encoder);
    elements_start(&encoder->elements, encoder->out + encoder->piece_room);
    replicas_start(&encoder->replicas, now_ns);
    layouts_v2_start(&encoder->layouts, now_ns);
    encoder->replay_room = encoder->piece_room - PIECES_EXTRA;
    encoder->series_len = 0;
    encoder->shared_count = 0;
    encoder->shared_size_max = 0;
    encoder->plain_bytes = 0;
    /* The first symbol is empty: a tag and a length of 0. */
    encoder->symbols[0] = WIRE_V2_REQUEST_SYMBOL;
    encoder->symbols[1] = 0;
    encoder->symbols_len = 2;
    encoder->symbol_count = 1;
}

size_t encoder_v2_bytes(const struct encoder_v2 *encoder)
{
    return encoder->symbols_len + encoder_v2_series_bytes(encoder);
}

size_t encoder_v2_plain_bytes(const struct encoder_v2 *encoder)
{
    return encoder->plain_bytes;
}

size_t encoder_v2_room_left(const struct encoder_v2 *encoder)
{
    return encoder->room - encoder_v2_bytes(encoder);
}

/* ---- symbols ---- */

static void grow_table(struct encoder_v2 *encoder)
{
    struct encode_symbol *old = encoder->table;
    uint32_t old_mask = encoder->table_mask;
    encoder->table_mask = 2 * old_mask + 1;
    encoder->table = calloc((size_t)encoder->table_mask + 1, sizeof *encoder->table);
    check(encoder->table != NULL);
    for (uint32_t i = 0; i <= old_mask; i++) {
        uint32_t at = old[i].hash & encoder->table_mask;
        if (old[i].ref == 0)
            continue;
        while (encoder->table[at].ref != 0)
            at = (at + 1) & encoder->table_mask;
        encoder->table[at] = old[i];
    }
    free(old);
}

/* A new one is put into the table, for which there must be room. */
uint32_t encoder_v2_symbol(struct encoder_v2 *encoder, struct slice text, uint32_t hash)
{
    if (text.len == 0)
        return 0;
    uint32_t at = hash & encoder->table_mask;
    for (; encoder->table[at].ref != 0; at = (at + 1) & encoder->table_mask) {
        const struct encode_symbol *there = &encoder->table[at];
        if (there->hash == hash && there->len == text.len &&
            memcmp(encoder->symbols + there->at, text.ptr, text.len) == 0)
            return there->ref;
    }
    uint8_t *end =
        wire_put_text(encoder->symbols + encoder->symbols_len, WIRE_V2_REQUEST_SYMBOL, text);
    encoder->symbols_len = (size_t)(end - encoder->symbols);
    uint32_t ref = encoder->symbol_count++;
    encoder->table[at] = (struct encode_symbol){
        hash, ref, (uint32_t)(encoder->symbols_len - text.len), (uint32_t)text.len};
    if (encoder->symbol_count > encoder->table_mask / 2)
        grow_table(encoder);
    return ref;
}

static uint32_t symbol(struct encoder_v2 *encoder, struct slice text)
{
    return encoder_v2_symbol(encoder, text, encoder_v2_hash(text, encoder->seed));
}

static size_t label_size_max(const struct label *label)
{
    return encoder_v2_label_max(label->name, label->value);
}

/* ---- labels ---- */

static struct encode_shared_v2 *add_shared(struct encoder_v2 *encoder, struct slice name)
{
    if (encoder->shared_count == encoder->shared_room) {
        encoder->shared_room = encoder->shared_room == 0 ? 32 : 2 * encoder->shared_room;
        encoder->shared = grow(encoder->shared, encoder->shared_room * sizeof *encoder->shared);
    }
    struct encode_shared_v2 *shared = &encoder->shared[encoder->shared_count++];
    *shared = (struct encode_shared_v2){.name = name};
    return shared;
}

void encoder_v2_set_target(struct encoder_v2 *encoder, const struct label *target,
                           size_t target_count, const struct label *external, size_t external_count)
{
    encoder->shared_count = 0;
    encoder->shared_size_max = 0;
    encoder->shared_names = encoder->seed;
    size_t t = 0;
    size_t e = 0;
    while (t < target_count || e < external_count) {
        int order = t == target_count     ? 1
                    : e == external_count ? -1
                                          : slice_compare(target[t].name, external[e].name);
        const struct label *first = order <= 0 ? &target[t] : &external[e];
        struct encode_shared_v2 *shared = add_shared(encoder, first->name);
        encoder->shared_names =
            hash64(first->name.ptr, first->name.len, encoder->shared_names + first->name.len);
        if (order >= 0)
            shared->external = external[e++].value;
        if (order <= 0)
            shared->target = target[t++].value;
        encoder->shared_size_max += label_size_max(first) + encoder_v2_symbol_max(shared->external);
    }
}

static uint32_t symbol_once(struct encoder_v2 *encoder, struct slice text, uint32_t *ref)
{
    if (*ref == 0)
        *ref = symbol(encoder, text);
    return *ref;
}

static uint8_t *put_refs(uint8_t *at, uint32_t name, uint32_t value)
{
    return wire_put_varint(wire_put_varint(at, name), value);
}

/* The name is numbered first. */
static uint8_t *put_label(struct encoder_v2 *encoder, uint8_t *at, const struct label *label)
{
    uint32_t name = symbol(encoder, label->name);
    return put_refs(at, name, symbol(encoder, label->value));
}

static uint8_t *put_external(struct encoder_v2 *encoder, uint8_t *at,
                             struct encode_shared_v2 *shared)
{
    if (shared->external.len == 0)
        return at;
    uint32_t name = symbol_once(encoder, shared->name, &shared->name_ref);
    return put_refs(at, name, symbol_once(encoder, shared->external, &shared->external_ref));
}

struct replicas_label encoder_v2_shared(struct encoder_v2 *encoder, struct encode_shared_v2 *shared)
{
    bool is_target = shared->target.len > 0;
    struct slice value = is_target ? shared->target : shared->external;
    uint32_t *ref = is_target ? &shared->target_ref : &shared->external_ref;
    if (value.len == 0)
        return (struct replicas_label){0};
    uint32_t name = symbol_once(encoder, shared->name, &shared->name_ref);
    return (struct replicas_label){name, symbol_once(encoder, value, ref)};
}

static uint8_t *put_shared(struct encoder_v2 *encoder, uint8_t *at, struct encode_shared_v2 *shared)
{
    struct replicas_label label = encoder_v2_shared(encoder, shared);
    return label.value == 0 ? at : put_refs(at, label.name, label.value);
}

/* The two sorted lists as one; where both have a name, the series' own label decides. */
static uint8_t *put_merged(struct encoder_v2 *encoder, uint8_t *at, const struct label *labels,
                           size_t count)
{
    struct encode_shared_v2 *shared = encoder->shared;
    const struct encode_shared_v2 *end = shared + encoder->shared_count;
    for (size_t i = 0; i < count; i++) {
        int order = 1;
        while (shared < end && (order = slice_compare(shared->name, labels[i].name)) < 0)
            at = put_shared(encoder, at, shared++);
        bool both = shared < end && order == 0;
        if (labels[i].value.len > 0)
            at = put_label(encoder, at, &labels[i]);
        else if (both)
            at = put_external(encoder, at, shared);
        if (both)
            shared++;
    }
    while (shared < end)
        at = put_shared(encoder, at, shared++);
    return at;
}

/* ---- items ---- */

/* A field with an embedded message of `len` bytes, which the caller puts behind it. */
static uint8_t *put_head(uint8_t *at, uint8_t tag, size_t len)
{
    *at++ = tag;
    return wire_put_varint(at, len);
}

static uint8_t *put_sample(uint8_t *at, const struct item *item)
{
    size_t len = 9 + 1 + wire_varint_size((uint64_t)item->ms);
    if (item->start_ms != 0)
        len += 1 + wire_varint_size((uint64_t)item->start_ms);
    at = put_head(at, WIRE_V2_SERIES_SAMPLE, len);
    *at++ = WIRE_V2_SAMPLE_VALUE;
    at = wire_put_fixed64(at, item->bits);
    *at++ = WIRE_V2_SAMPLE_MS;
    at = wire_put_varint(at, (uint64_t)item->ms);
    if (item->start_ms == 0)
        return at;
    *at++ = WIRE_V2_SAMPLE_START;
    return wire_put_varint(at, (uint64_t)item->start_ms);
}

static uint8_t *put_histogram(uint8_t *at, const struct item *item)
{
    uint8_t times[2 * (2 + WIRE_VARINT_MAX)];
    uint8_t *end = times;
    *end++ = WIRE_HISTOGRAM_MS;
    end = wire_put_varint(end, (uint64_t)item->ms);
    if (item->start_ms != 0) {
        end = wire_put_varint(end, WIRE_V2_HISTOGRAM_START);
        end = wire_put_varint(end, (uint64_t)item->start_ms);
    }
    size_t len = (size_t)(end - times);
    at = put_head(at, WIRE_V2_SERIES_HISTOGRAM, item->histogram.len + len);
    at = wire_put_bytes(at, item->histogram.ptr, item->histogram.len);
    return wire_put_bytes(at, times, len);
}

static uint8_t *put_exemplar(struct encoder_v2 *encoder, uint8_t *at, const struct item *item)
{
    uint8_t refs[ITEM_EXEMPLAR_LABELS_MAX * 2 * REF_MAX];
    uint8_t *end = refs;
    for (size_t i = 0; i < item->exemplar_count; i++) {
        const struct label *label = &item->exemplar[i];
        end = wire_put_varint(end, symbol(encoder, label->name));
        end = wire_put_varint(end, symbol(encoder, label->value));
    }
    size_t refs_len = (size_t)(end - refs);
    size_t len = refs_len == 0 ? 0 : wire_text_size(refs_len);
    len += 9 + 1 + wire_varint_size((uint64_t)item->ms);
    at = put_head(at, WIRE_V2_SERIES_EXEMPLAR, len);
    if (refs_len > 0)
        at = wire_put_text(at, WIRE_EXEMPLAR_LABEL, slice_make(refs, refs_len));
    *at++ = WIRE_EXEMPLAR_VALUE;
    at = wire_put_fixed64(at, item->bits);
    *at++ = WIRE_EXEMPLAR_MS;
    return wire_put_varint(at, (uint64_t)item->ms);
}

static uint8_t *put_item(struct encoder_v2 *encoder, uint8_t *at, const struct item *item)
{
    switch (item->kind) {
    case DELIVERY_HISTOGRAMS:
        return put_histogram(at, item);
    case DELIVERY_EXEMPLARS:
        return put_exemplar(encoder, at, item);
    default:
        return put_sample(at, item);
    }
}

/* Always there, even when nothing is known. */
static uint8_t *put_metadata(uint8_t *at, uint32_t type, uint32_t help_ref, uint32_t unit_ref)
{
    uint8_t fields[3 * (1 + REF_MAX)];
    uint8_t *end = fields;
    const struct {
        uint8_t tag;
        uint32_t value;
    } parts[] = {{WIRE_V2_METADATA_TYPE, type},
                 {WIRE_V2_METADATA_HELP, help_ref},
                 {WIRE_V2_METADATA_UNIT, unit_ref}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].value == 0)
            continue;
        *end++ = parts[i].tag;
        end = wire_put_varint(end, parts[i].value);
    }
    return wire_put_text(at, WIRE_V2_SERIES_METADATA, slice_make(fields, (size_t)(end - fields)));
}

/* ---- series ---- */

/* No more bytes than these are added for the item, symbols included. */
static size_t item_size_max(const struct encoder_v2 *encoder, const struct item *item,
                            const struct family *family)
{
    size_t size = ENCODE_V2_SERIES_EXTRA_MAX + encoder->shared_size_max + item->histogram.len;
    for (size_t i = 0; i < item->label_count; i++)
        size += label_size_max(&item->labels[i]);
    for (size_t i = 0; i < item->exemplar_count; i++)
        size += label_size_max(&item->exemplar[i]);
    if (family != NULL)
        size += encoder_v2_symbol_max(family->help) + encoder_v2_symbol_max(family->unit);
    return size;
}

/* Room for the refs of a series with so many labels of its own. */
static uint8_t *make_refs_room(struct encoder_v2 *encoder, size_t labels)
{
    size_t refs_max = (encoder->shared_count + labels) * 2 * REF_MAX;
    if (refs_max > encoder->refs_room) {
        encoder->refs_room = 2 * refs_max;
        encoder->refs = grow(encoder->refs, encoder->refs_room);
    }
    return encoder->refs;
}

/* Of a family, as symbols. */
struct metadata_refs {
    uint32_t type;
    uint32_t help;
    uint32_t unit;
};

/* Appends the series with the labels whose refs lie in encoder->refs up to refs_end. */
static void put_series(struct encoder_v2 *encoder, const uint8_t *refs_end, const struct item *item,
                       struct metadata_refs metadata)
{
    /* Tag and length of a series are guessed to take 2 bytes: right for up to 127 bytes. */
    enum { HEAD_GUESS = 2 };
    uint8_t *start = encoder->message + encoder->series_len;
    uint8_t *body = start + HEAD_GUESS;
    uint8_t *end = wire_put_text(body, WIRE_V2_SERIES_LABELS,
                                 slice_make(encoder->refs, (size_t)(refs_end - encoder->refs)));
    end = put_item(encoder, end, item);
    end = put_metadata(end, metadata.type, metadata.help, metadata.unit);
    size_t len = (size_t)(end - body);
    size_t head = 1 + wire_varint_size(len);
    if (head != HEAD_GUESS)
        memmove(start + head, body, len);
    put_head(start, WIRE_V2_REQUEST_SERIES, len);
    encoder->series_len += head + len;
    check(encoder_v2_bytes(encoder) <= encoder->room);
}

int encoder_v2_add(struct encoder_v2 *encoder, const struct item *item, const struct family *family)
{
    struct metadata_refs metadata = {0};
    size_t size_max = item_size_max(encoder, item, family);
    if (size_max > encoder_v2_room_left(encoder))
        return ERR_FULL;
    uint8_t *refs = make_refs_room(encoder, item->label_count);
    uint8_t *refs_end = put_merged(encoder, refs, item->labels, item->label_count);
    if (family != NULL) {
        metadata.type = family->type;
        metadata.help = symbol(encoder, family->help);
        metadata.unit = symbol(encoder, family->unit);
    }
    put_series(encoder, refs_end, item, metadata);
    encoder->plain_bytes += size_max;
    return 0;
}

/* ---- lines that come again ---- */

static struct encode_line *line_place(const struct encoder_v2 *encoder, uint64_t key)
{
    uint32_t at = (uint32_t)(key ^ key >> 32) & encoder->line_mask;
    while (encoder->lines[at].key != 0 && encoder->lines[at].key != key)
        at = (at + 1) & encoder->line_mask;
    return &encoder->lines[at];
}

bool encoder_v2_knows(const struct encoder_v2 *encoder, uint64_t key)
{
    const struct encode_line *line = line_place(encoder, key);
    return line->key == key && line->shared_names == encoder->shared_names;
}

static void grow_lines(struct encoder_v2 *encoder)
{
    struct encode_line *old = encoder->lines;
    uint32_t old_mask = encoder->line_mask;
    encoder->line_mask = 2 * old_mask + 1;
    encoder->lines = calloc((size_t)encoder->line_mask + 1, sizeof *encoder->lines);
    check(encoder->lines != NULL);
    for (uint32_t i = 0; i <= old_mask; i++) {
        if (old[i].key != 0)
            *line_place(encoder, old[i].key) = old[i];
    }
    free(old);
}

static struct encode_line_label *add_line_labels(struct encoder_v2 *encoder, uint32_t count)
{
    uint32_t wanted = encoder->line_label_count + count;
    if (wanted > encoder->line_label_room) {
        encoder->line_label_room = 2 * wanted;
        encoder->line_labels =
            grow(encoder->line_labels, encoder->line_label_room * sizeof *encoder->line_labels);
    }
    encoder->line_label_count = wanted;
    return &encoder->line_labels[wanted - count];
}

/* Where each of the labels stands among the shared ones, as put_merged puts them. */
static void place_labels(const struct encoder_v2 *encoder, const struct item *item,
                         struct encode_line_label *ret_labels)
{
    uint16_t shared = 0;
    for (size_t i = 0; i < item->label_count; i++) {
        uint16_t before = shared;
        int order = 1;
        while (shared < encoder->shared_count &&
               (order = slice_compare(encoder->shared[shared].name, item->labels[i].name)) < 0)
            shared++;
        ret_labels[i].both = shared < encoder->shared_count && order == 0;
        ret_labels[i].before = (uint16_t)(shared - before);
        shared = (uint16_t)(shared + ret_labels[i].both);
    }
}

void encoder_v2_learn(struct encoder_v2 *encoder, uint64_t key, const struct item *item,
                      const struct family *family)
{
    if (item->label_count > UINT16_MAX / 2 || encoder->shared_count > UINT16_MAX / 2)
        return;
    if (encoder->line_count * 2 >= encoder->line_mask)
        grow_lines(encoder);
    struct encode_line *line = line_place(encoder, key);
    if (line->key == 0)
        encoder->line_count++;
    *line = (struct encode_line){
        .key = key,
        .count = (uint32_t)item->label_count,
        .shared_names = encoder->shared_names,
        .plain_bytes = (uint32_t)(item_size_max(encoder, item, family) - encoder->shared_size_max),
    };
    struct encode_line_label *labels = add_line_labels(encoder, line->count);
    line->first = encoder->line_label_count - line->count;
    place_labels(encoder, item, labels);
    for (uint32_t i = 0; i < line->count; i++) {
        bool is_empty = item->labels[i].value.len == 0;
        labels[i].name_ref = is_empty ? 0 : symbol(encoder, item->labels[i].name);
        labels[i].value_ref = symbol(encoder, item->labels[i].value);
    }
    if (family == NULL)
        return;
    line->type = family->type;
    line->help_ref = symbol(encoder, family->help);
    line->unit_ref = symbol(encoder, family->unit);
}

/* As put_merged, without looking at a name. */
static uint8_t *put_known(struct encoder_v2 *encoder, uint8_t *at, const struct encode_line *line)
{
    struct encode_shared_v2 *shared = encoder->shared;
    const struct encode_shared_v2 *end = shared + encoder->shared_count;
    const struct encode_line_label *labels = &encoder->line_labels[line->first];
    for (uint32_t i = 0; i < line->count; i++) {
        for (uint32_t j = 0; j < labels[i].before; j++)
            at = put_shared(encoder, at, shared++);
        if (labels[i].value_ref != 0)
            at = put_refs(at, labels[i].name_ref, labels[i].value_ref);
        else if (labels[i].both)
            at = put_external(encoder, at, shared);
        shared += labels[i].both;
    }
    while (shared < end)
        at = put_shared(encoder, at, shared++);
    return at;
}

int encoder_v2_add_known(struct encoder_v2 *encoder, uint64_t key, const struct item *item)
{
    const struct encode_line *line = line_place(encoder, key);
    check(line->key == key && line->shared_names == encoder->shared_names);
    size_t size_max = item_size_max(encoder, item, NULL) + line->plain_bytes;
    if (size_max > encoder_v2_room_left(encoder))
        return ERR_FULL;
    uint8_t *refs = make_refs_room(encoder, line->count);
    put_series(encoder, put_known(encoder, refs, line), item,
               (struct metadata_refs){line->type, line->help_ref, line->unit_ref});
    encoder->plain_bytes += size_max;
    return 0;
}
