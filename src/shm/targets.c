/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader that is slow may read a half while the writer fills it anew. So both go word by word:
 * stores release, loads acquire. Whoever reads a word of a newer table has therefore seen that the
 * generation moved before, and targets_cursor_valid says so: nothing torn is ever believed.
 */
#include "shm/targets.h"

#include <stdlib.h>
#include <string.h>

#include "base/crashpoint.h"

#define WORD sizeof(uint64_t)

static uint64_t half_size_of(const struct shm_segment *segment)
{
    return (segment->size - SHM_TARGETS_DATA) / 2 / SHM_PAGE * SHM_PAGE;
}

static uint64_t half_offset(uint64_t half_size, uint64_t generation)
{
    return SHM_TARGETS_DATA + (generation & 1) * half_size;
}

static void store_words(uint8_t *to, const void *from, size_t len)
{
    _Atomic uint64_t *words = (_Atomic uint64_t *)(void *)to;
    for (size_t i = 0; i < len / WORD; i++) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)from + i * WORD, WORD);
        /* release; pairs with the acquire in load_words */
        atomic_store_explicit(&words[i], word, memory_order_release);
    }
}

static void load_words(void *to, const uint8_t *from, size_t len)
{
    const _Atomic uint64_t *words = (const _Atomic uint64_t *)(const void *)from;
    for (size_t i = 0; i < len / WORD; i++) {
        uint64_t word = atomic_load_explicit(&words[i], memory_order_acquire);
        memcpy((uint8_t *)to + i * WORD, &word, WORD);
    }
}

static int map(struct shm_segment *segment, int fd, bool writable, struct errctx *reterr)
{
    int err = segment_map(segment, fd, SHM_KIND_TARGETS, 0, writable, reterr);
    if (err != 0)
        return err;
    if (segment->size >= SHM_TARGETS_DATA + 2 * SHM_PAGE)
        return 0;
    err_set(reterr, ERR_CORRUPT, "the targets segment is too small: %llu bytes",
            (unsigned long long)segment->size);
    segment_unmap(segment);
    return ERR_CORRUPT;
}

static uint8_t *make_scratch(void)
{
    uint8_t *scratch = malloc(TARGET_LENGTH_MAX);
    check(scratch != NULL);
    return scratch;
}

/* ---- writer ---- */

/* Even an empty table has its header. */
static int reserve_head(const struct targets_writer *writer, uint64_t half)
{
    return segment_reserve(writer->segment.fd, half, half + SHM_PAGE);
}

int targets_writer_attach(struct targets_writer *writer, int fd, struct errctx *reterr)
{
    *writer = (struct targets_writer){0};
    int err = map(&writer->segment, fd, true, reterr);
    if (err != 0)
        return err;
    writer->head = (struct shm_targets_head *)(void *)(writer->segment.base + SHM_PAGE);
    writer->half_size = half_size_of(&writer->segment);
    writer->scratch = make_scratch();
    for (uint64_t i = 0; i < 2 && err == 0; i++)
        err = reserve_head(writer, half_offset(writer->half_size, i));
    if (err != 0) {
        targets_writer_detach(writer);
        return err_set(reterr, err, "no memory for the target table: %s", err_text(err));
    }
    return 0;
}

void targets_writer_detach(struct targets_writer *writer)
{
    segment_unmap(&writer->segment);
    free(writer->scratch);
    *writer = (struct targets_writer){0};
}

uint64_t targets_writer_generation(const struct targets_writer *writer)
{
    /* relaxed: nobody else writes it */
    return atomic_load_explicit(&writer->head->generation, memory_order_relaxed);
}

void targets_writer_begin(struct targets_writer *writer)
{
    uint64_t next = targets_writer_generation(writer) + 1;
    writer->half = writer->segment.base + half_offset(writer->half_size, next);
    writer->length = sizeof(struct shm_targets_half);
    writer->count = 0;
}

/* Memory of the half being written, up to `length`. Taking the same again costs a system call. */
static int reserve(struct targets_writer *writer, uint64_t length)
{
    uint64_t half = (uint64_t)(writer->half - writer->segment.base);
    uint64_t from = writer->length == sizeof(struct shm_targets_half)
                        ? 0
                        : (writer->length + SHM_PIECE - 1) / SHM_PIECE * SHM_PIECE;
    uint64_t to = (length + SHM_PIECE - 1) / SHM_PIECE * SHM_PIECE;
    if (to > writer->half_size)
        to = writer->half_size;
    return from < to ? segment_reserve(writer->segment.fd, half + from, half + to) : 0;
}

static size_t labels_length(const struct target_view *target)
{
    size_t len = 0;
    for (uint32_t i = 0; i < target->label_count; i++) {
        const struct label *label = &target->labels[i];
        check(i == 0 || slice_compare(label[-1].name, label->name) < 0);
        check(label->value.len > 0);
        len += sizeof(struct shm_label) + label->name.len + label->value.len;
    }
    return len;
}

static uint8_t *put_text(uint8_t *at, struct slice text)
{
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static void put_texts(uint8_t *at, const struct target_view *target)
{
    at = put_text(at, target->job);
    at = put_text(at, target->host);
    at = put_text(at, target->path);
    at = put_text(at, target->url);
    at = put_text(at, target->error);
    at = put_text(at, target->socket);
    for (uint32_t i = 0; i < target->label_count; i++) {
        const struct label *label = &target->labels[i];
        struct shm_label head = {(uint32_t)label->name.len, (uint32_t)label->value.len};
        at = put_text(at, slice_make(&head, sizeof(head)));
        at = put_text(at, label->name);
        at = put_text(at, label->value);
    }
}

/* `length`, of everything; ret_head->length is it, rounded up. */
static uint64_t describe(const struct target_view *target, struct shm_target *ret_head)
{
    uint64_t texts = (uint64_t)target->job.len + target->host.len + target->path.len +
                     target->url.len + target->error.len + target->socket.len;
    uint64_t labels = labels_length(target);
    uint64_t length = (sizeof(*ret_head) + texts + labels + WORD - 1) / WORD * WORD;
    *ret_head = (struct shm_target){
        .length = (uint32_t)length,
        .flags = target->flags,
        .id = target->id,
        .interval_ms = target->interval_ms,
        .timeout_ms = target->timeout_ms,
        .phase_ns = target->phase_ns,
        .sample_limit = target->sample_limit,
        .owner = target->owner,
        .address_count = target->address_count,
        .job_len = (uint32_t)target->job.len,
        .host_len = (uint32_t)target->host.len,
        .path_len = (uint32_t)target->path.len,
        .url_len = (uint32_t)target->url.len,
        .error_len = (uint32_t)target->error.len,
        .socket_len = (uint32_t)target->socket.len,
        .label_count = target->label_count,
        .labels_len = (uint32_t)labels,
    };
    check(target->address_count <= SHM_TARGET_ADDRESSES);
    for (uint32_t i = 0; i < target->address_count; i++)
        memcpy(ret_head->addresses[i], &target->addresses[i], SHM_SOCKADDR_SIZE);
    return length;
}

int targets_writer_add(struct targets_writer *writer, const struct target_view *target)
{
    struct shm_target head;
    uint64_t length = describe(target, &head);
    if (length > TARGET_LENGTH_MAX || length > writer->half_size - writer->length)
        return ERR_FULL;
    int err = reserve(writer, writer->length + length);
    if (err != 0)
        return err;
    memset(writer->scratch + length - WORD, 0, WORD);
    memcpy(writer->scratch, &head, sizeof(head));
    put_texts(writer->scratch + sizeof(head), target);
    store_words(writer->half + writer->length, writer->scratch, length);
    writer->length += length;
    writer->count++;
    CRASHPOINT("targets.added");
    return 0;
}

void targets_writer_commit(struct targets_writer *writer)
{
    uint64_t generation = targets_writer_generation(writer) + 1;
    struct shm_targets_half half = {
        .generation = generation, .length = writer->length, .count = writer->count};
    store_words(writer->half, &half, sizeof(half));
    CRASHPOINT("targets.written");
    /* release; pairs with targets_reader_generation: the half is complete */
    atomic_store_explicit(&writer->head->generation, generation, memory_order_release);
    CRASHPOINT("targets.committed");
}

void targets_writer_trim(struct targets_writer *writer)
{
    uint64_t from = half_offset(writer->half_size, targets_writer_generation(writer) + 1);
    segment_release(writer->segment.fd, from + SHM_PAGE, from + writer->half_size);
}

/* ---- reader ---- */

int targets_reader_attach(struct targets_reader *reader, int fd, struct errctx *reterr)
{
    *reader = (struct targets_reader){0};
    int err = map(&reader->segment, fd, false, reterr);
    if (err != 0)
        return err;
    reader->head = (const struct shm_targets_head *)(const void *)(reader->segment.base + SHM_PAGE);
    reader->half_size = half_size_of(&reader->segment);
    reader->scratch = make_scratch();
    return 0;
}

void targets_reader_detach(struct targets_reader *reader)
{
    segment_unmap(&reader->segment);
    free(reader->scratch);
    *reader = (struct targets_reader){0};
}

uint64_t targets_reader_generation(const struct targets_reader *reader)
{
    /* acquire; pairs with targets_writer_commit */
    return atomic_load_explicit(&reader->head->generation, memory_order_acquire);
}

bool targets_cursor_valid(const struct targets_reader *reader, const struct targets_cursor *cursor)
{
    return targets_reader_generation(reader) == cursor->generation;
}

/* The table of this generation; ERR_CORRUPT also when it was overwritten meanwhile. */
static int open_half(const struct targets_reader *reader, uint64_t generation,
                     struct targets_cursor *ret_cursor)
{
    struct shm_targets_half half;
    const uint8_t *start = reader->segment.base + half_offset(reader->half_size, generation);
    load_words(&half, start, sizeof(half));
    if (half.generation != generation || half.length < sizeof(half) ||
        half.length > reader->half_size)
        return ERR_CORRUPT;
    *ret_cursor = (struct targets_cursor){.next = start + sizeof(half),
                                          .end = start + half.length,
                                          .left = half.count,
                                          .generation = generation,
                                          .scratch = reader->scratch};
    return 0;
}

int targets_reader_open(const struct targets_reader *reader, struct targets_cursor *ret_cursor)
{
    /* Discovery waits between two tables: being overtaken again and again is damage. */
    enum { TRIES = 8 };
    for (int i = 0; i < TRIES; i++) {
        uint64_t generation = targets_reader_generation(reader);
        if (generation == 0)
            return ERR_NOT_READY;
        int err = open_half(reader, generation, ret_cursor);
        if (targets_reader_generation(reader) == generation)
            return err;
    }
    return ERR_CORRUPT;
}

static struct slice take_text(const uint8_t **at, uint32_t len)
{
    struct slice text = slice_make(*at, len);
    *at += len;
    return text;
}

static bool is_address(const struct sockaddr_in6 *address)
{
    return address->sin6_family == AF_INET || address->sin6_family == AF_INET6;
}

static bool numbers_fit(const struct shm_target *head)
{
    const int64_t most = INT64_MAX / 1000000; /* what fits in nanoseconds */
    uint64_t texts = (uint64_t)head->job_len + head->host_len + head->path_len + head->url_len +
                     head->error_len + head->socket_len + head->labels_len;
    return texts <= head->length - sizeof(*head) && head->owner < SHM_MAX_SCRAPERS &&
           head->address_count <= SHM_TARGET_ADDRESSES && head->interval_ms > 0 &&
           head->interval_ms <= most && head->timeout_ms > 0 && head->timeout_ms <= most &&
           head->label_count <= head->labels_len / sizeof(struct shm_label);
}

/* Makes a view of a target whose bytes nobody changes any more. */
static int view_target(const uint8_t *bytes, struct target_view *ret_target)
{
    struct shm_target head;
    memcpy(&head, bytes, sizeof(head));
    if (!numbers_fit(&head))
        return ERR_CORRUPT;
    struct target_view target = {.id = head.id,
                                 .owner = head.owner,
                                 .flags = head.flags,
                                 .interval_ms = head.interval_ms,
                                 .timeout_ms = head.timeout_ms,
                                 .phase_ns = head.phase_ns,
                                 .sample_limit = head.sample_limit,
                                 .address_count = head.address_count,
                                 .label_count = head.label_count,
                                 .label_bytes_len = head.labels_len};
    for (uint32_t i = 0; i < head.address_count; i++) {
        memcpy(&target.addresses[i], head.addresses[i], SHM_SOCKADDR_SIZE);
        if (!is_address(&target.addresses[i]))
            return ERR_CORRUPT;
    }
    const uint8_t *at = bytes + sizeof(head);
    target.job = take_text(&at, head.job_len);
    target.host = take_text(&at, head.host_len);
    target.path = take_text(&at, head.path_len);
    target.url = take_text(&at, head.url_len);
    target.error = take_text(&at, head.error_len);
    target.socket = take_text(&at, head.socket_len);
    target.label_bytes = at;
    *ret_target = target;
    return 0;
}

int targets_cursor_next(struct targets_cursor *cursor, struct target_view *ret_target)
{
    if (cursor->left == 0)
        return 0;
    uint64_t room = (uint64_t)(cursor->end - cursor->next);
    if (room < sizeof(struct shm_target))
        return ERR_CORRUPT;
    uint32_t first[2]; /* length and flags */
    load_words(first, cursor->next, sizeof(first));
    uint32_t length = first[0];
    if (length < sizeof(struct shm_target) || length % WORD != 0 || length > room ||
        length > TARGET_LENGTH_MAX)
        return ERR_CORRUPT;
    load_words(cursor->scratch, cursor->next, length);
    /* Its length may have changed between the two loads. */
    memcpy(cursor->scratch, first, sizeof(first));
    int err = view_target(cursor->scratch, ret_target);
    if (err != 0)
        return err;
    cursor->next += length;
    cursor->left--;
    return 1;
}

int target_labels_decode(const struct target_view *target, struct label *room)
{
    const uint8_t *at = target->label_bytes;
    size_t left = target->label_bytes_len;
    for (uint32_t i = 0; i < target->label_count; i++) {
        struct shm_label head;
        if (left < sizeof(head))
            return ERR_CORRUPT;
        memcpy(&head, at, sizeof(head));
        at += sizeof(head);
        left -= sizeof(head);
        if (head.name_len > left || head.value_len > left - head.name_len || head.value_len == 0)
            return ERR_CORRUPT;
        left -= (size_t)head.name_len + head.value_len;
        room[i].name = take_text(&at, head.name_len);
        room[i].value = take_text(&at, head.value_len);
        if (i > 0 && slice_compare(room[i - 1].name, room[i].name) >= 0)
            return ERR_CORRUPT;
    }
    return 0;
}
