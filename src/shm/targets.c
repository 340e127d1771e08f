/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader that is slow may read a half while the writer fills it anew: see shm/words.h, and
 * targets_cursor_valid. Nothing torn is ever believed.
 */
#include "shm/targets.h"

#include <stdlib.h>
#include <string.h>

#include "base/crashpoint.h"
#include "shm/words.h"

static uint64_t half_size_of(const struct shm_segment *segment)
{
    return (segment->size - SHM_TARGETS_DATA) / 2 / SHM_PAGE * SHM_PAGE;
}

static uint64_t half_offset(uint64_t half_size, uint64_t generation)
{
    return SHM_TARGETS_DATA + (generation & 1) * half_size;
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
    writer->count = writer->dropped_count = 0;
    writer->dropped_at = 0;
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

static size_t labels_length(const struct label *labels, uint32_t count)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct label *label = &labels[i];
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

static void put_labels(uint8_t *at, const struct label *labels, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct label *label = &labels[i];
        struct shm_label head = {(uint32_t)label->name.len, (uint32_t)label->value.len};
        at = put_text(at, slice_make(&head, sizeof(head)));
        at = put_text(at, label->name);
        at = put_text(at, label->value);
    }
}

static void put_texts(uint8_t *at, const struct target_view *target)
{
    at = put_text(at, target->job);
    at = put_text(at, target->host);
    at = put_text(at, target->path);
    at = put_text(at, target->url);
    at = put_text(at, target->error);
    at = put_text(at, target->socket);
    put_labels(at, target->labels, target->label_count);
}

/* `length`, of everything; ret_head->length is it, rounded up. */
static uint64_t describe(const struct target_view *target, struct shm_target *ret_head)
{
    uint64_t texts = (uint64_t)target->job.len + target->host.len + target->path.len +
                     target->url.len + target->error.len + target->socket.len;
    uint64_t labels = labels_length(target->labels, target->label_count);
    uint64_t length = (sizeof(*ret_head) + texts + labels + SHM_WORD - 1) / SHM_WORD * SHM_WORD;
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

/* Takes room for a record of this length, whose last word may not be filled whole. */
static int begin_record(struct targets_writer *writer, uint64_t length)
{
    if (length > TARGET_LENGTH_MAX || length > writer->half_size - writer->length)
        return ERR_FULL;
    int err = reserve(writer, writer->length + length);
    if (err == 0)
        memset(writer->scratch + length - SHM_WORD, 0, SHM_WORD);
    return err;
}

static void end_record(struct targets_writer *writer, uint64_t length)
{
    words_store(writer->half + writer->length, writer->scratch, length);
    writer->length += length;
}

int targets_writer_add(struct targets_writer *writer, const struct target_view *target)
{
    struct shm_target head;
    uint64_t length = describe(target, &head);
    check(writer->dropped_count == 0);
    int err = begin_record(writer, length);
    if (err != 0)
        return err;
    memcpy(writer->scratch, &head, sizeof(head));
    put_texts(writer->scratch + sizeof(head), target);
    end_record(writer, length);
    writer->count++;
    CRASHPOINT("targets.added");
    return 0;
}

int targets_writer_add_dropped(struct targets_writer *writer, const struct dropped_view *dropped)
{
    uint64_t labels = labels_length(dropped->labels, dropped->label_count);
    uint64_t length = sizeof(struct shm_dropped) + dropped->job.len + labels;
    length = (length + SHM_WORD - 1) / SHM_WORD * SHM_WORD;
    const struct shm_dropped head = {.length = (uint32_t)length,
                                     .job_len = (uint32_t)dropped->job.len,
                                     .label_count = dropped->label_count,
                                     .labels_len = (uint32_t)labels,
                                     .total = dropped->total};
    int err = begin_record(writer, length);
    if (err != 0)
        return err;
    memcpy(writer->scratch, &head, sizeof(head));
    uint8_t *at = put_text(writer->scratch + sizeof(head), dropped->job);
    put_labels(at, dropped->labels, dropped->label_count);
    if (writer->dropped_count++ == 0)
        writer->dropped_at = writer->length;
    end_record(writer, length);
    return 0;
}

int targets_writer_add_none(struct targets_writer *writer, struct slice job, struct slice what,
                            struct slice why)
{
    const struct target_view none = {.flags = SHM_TARGET_NONE,
                                     .interval_ms = 1,
                                     .timeout_ms = 1,
                                     .job = job,
                                     .host = what,
                                     .error = why};
    return targets_writer_add(writer, &none);
}

void targets_writer_commit(struct targets_writer *writer)
{
    uint64_t generation = targets_writer_generation(writer) + 1;
    struct shm_targets_half half = {.generation = generation,
                                    .length = writer->length,
                                    .count = writer->count,
                                    .dropped_count = writer->dropped_count,
                                    .dropped_at = writer->dropped_at};
    words_store(writer->half, &half, sizeof(half));
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

/* The table of this generation, or what was dropped; ERR_CORRUPT also when it was overwritten
   meanwhile. */
static int open_half(const struct targets_reader *reader, uint64_t generation, bool dropped,
                     struct targets_cursor *ret_cursor)
{
    struct shm_targets_half half;
    const uint8_t *start = reader->segment.base + half_offset(reader->half_size, generation);
    words_load(&half, start, sizeof(half));
    if (half.generation != generation || half.length < sizeof(half) ||
        half.length > reader->half_size || half.dropped_at > half.length ||
        half.dropped_at % SHM_WORD != 0)
        return ERR_CORRUPT;
    *ret_cursor =
        (struct targets_cursor){.next = start + (dropped ? half.dropped_at : sizeof(half)),
                                .end = start + half.length,
                                .left = dropped ? half.dropped_count : half.count,
                                .generation = generation,
                                .scratch = reader->scratch};
    return 0;
}

static int open_table(const struct targets_reader *reader, bool dropped,
                      struct targets_cursor *ret_cursor)
{
    /* Discovery waits between two tables: being overtaken again and again is damage. */
    enum { TRIES = 8 };
    for (int i = 0; i < TRIES; i++) {
        uint64_t generation = targets_reader_generation(reader);
        if (generation == 0)
            return ERR_NOT_READY;
        int err = open_half(reader, generation, dropped, ret_cursor);
        if (targets_reader_generation(reader) == generation)
            return err;
    }
    return ERR_CORRUPT;
}

int targets_reader_open(const struct targets_reader *reader, struct targets_cursor *ret_cursor)
{
    return open_table(reader, false, ret_cursor);
}

int targets_reader_open_dropped(const struct targets_reader *reader,
                                struct targets_cursor *ret_cursor)
{
    return open_table(reader, true, ret_cursor);
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

/*
 * The next record, of at least `least` bytes and starting with its length, in the scratch; 1, 0 at
 * the end, or ERR_CORRUPT.
 */
static int next_record(struct targets_cursor *cursor, size_t least)
{
    if (cursor->left == 0)
        return 0;
    uint64_t room = (uint64_t)(cursor->end - cursor->next);
    if (room < least)
        return ERR_CORRUPT;
    uint32_t first[2]; /* the length and what stands beside it */
    words_load(first, cursor->next, sizeof(first));
    uint32_t length = first[0];
    if (length < least || length % SHM_WORD != 0 || length > room || length > TARGET_LENGTH_MAX)
        return ERR_CORRUPT;
    words_load(cursor->scratch, cursor->next, length);
    /* Its length may have changed between the two loads. */
    memcpy(cursor->scratch, first, sizeof(first));
    cursor->next += length;
    cursor->left--;
    return 1;
}

static int next_target(struct targets_cursor *cursor, struct target_view *ret_target)
{
    int r = next_record(cursor, sizeof(struct shm_target));
    if (r <= 0)
        return r;
    int err = view_target(cursor->scratch, ret_target);
    return err != 0 ? err : 1;
}

int targets_cursor_next(struct targets_cursor *cursor, struct target_view *ret_target)
{
    int more;
    while ((more = next_target(cursor, ret_target)) == 1) {
        if (cursor->all || !(ret_target->flags & SHM_TARGET_NONE))
            break;
    }
    return more;
}

int targets_cursor_next_dropped(struct targets_cursor *cursor, struct dropped_view *ret_dropped)
{
    struct shm_dropped head;
    int r = next_record(cursor, sizeof(head));
    if (r <= 0)
        return r;
    memcpy(&head, cursor->scratch, sizeof(head));
    if ((uint64_t)head.job_len + head.labels_len > head.length - sizeof(head) ||
        head.label_count > head.labels_len / sizeof(struct shm_label))
        return ERR_CORRUPT;
    const uint8_t *at = cursor->scratch + sizeof(head);
    *ret_dropped = (struct dropped_view){
        .total = head.total, .label_count = head.label_count, .label_bytes_len = head.labels_len};
    ret_dropped->job = take_text(&at, head.job_len);
    ret_dropped->label_bytes = at;
    return 1;
}

static int decode_labels(const uint8_t *at, size_t left, uint32_t count, struct label *room)
{
    for (uint32_t i = 0; i < count; i++) {
        struct shm_label head;
        if (left < sizeof(head))
            return ERR_CORRUPT;
        memcpy(&head, at, sizeof(head));
        at += sizeof(head);
        left -= sizeof(head);
        if (head.name_len > left || head.value_len > left - head.name_len || head.name_len == 0 ||
            head.value_len == 0)
            return ERR_CORRUPT;
        left -= (size_t)head.name_len + head.value_len;
        room[i].name = take_text(&at, head.name_len);
        room[i].value = take_text(&at, head.value_len);
        if (i > 0 && slice_compare(room[i - 1].name, room[i].name) >= 0)
            return ERR_CORRUPT;
    }
    return 0;
}

int target_labels_decode(const struct target_view *target, struct label *room)
{
    return decode_labels(target->label_bytes, target->label_bytes_len, target->label_count, room);
}

int dropped_labels_decode(const struct dropped_view *dropped, struct label *room)
{
    return decode_labels(dropped->label_bytes, dropped->label_bytes_len, dropped->label_count,
                         room);
}
