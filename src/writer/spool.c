/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "writer/spool_file.h"

enum { SEGMENTS_WANTED = 64, NAME_DIGITS = 16 };
#define SEGMENT_LEAST (UINT64_C(64) << 10)
#define SEGMENT_MOST  (UINT64_C(16) << 20)

uint64_t spool_items_of(const struct spool_record *record)
{
    uint64_t items = 0;
    for (uint32_t kind = 0; kind < SPOOL_KINDS; kind++)
        items += record->items[kind];
    return items;
}

/* ---- Names ---- */

enum { PATH_ROOM = SPOOL_NAME_MAX + 64 };

static void path_of(const struct spool *spool, uint64_t number, char path[static PATH_ROOM])
{
    snprintf(path, PATH_ROOM, SPOOL_ROOT "/%s/%016" PRIx64 ".spool", spool->name, number);
}

static bool number_of(const char *name, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    *ret_number = strtoull(name, &end, 16);
    return errno == 0 && end == name + NAME_DIGITS && strcmp(end, ".spool") == 0 && *ret_number > 0;
}

static int make_directories(const struct spool *spool)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, SPOOL_ROOT "/%s", spool->name);
    if (mkdirat(spool->storage_fd, SPOOL_ROOT, 0700) < 0 && errno != EEXIST)
        return -errno;
    if (mkdirat(spool->storage_fd, path, 0700) < 0 && errno != EEXIST)
        return -errno;
    return 0;
}

/* ---- The table ---- */

static struct spool_segment *find_segment(const struct spool *spool, uint64_t number)
{
    for (uint32_t i = 0; i < spool->count; i++) {
        if (spool->segments[i].number == number)
            return &spool->segments[i];
    }
    return NULL;
}

bool spool_has(const struct spool *spool, struct spool_place place)
{
    return find_segment(spool, place.segment) != NULL;
}

static bool is_before(struct spool_place a, struct spool_place b)
{
    return a.segment < b.segment || (a.segment == b.segment && a.offset < b.offset);
}

static bool is_over(const struct spool *spool, struct spool_place place,
                    const struct spool_record *record, const struct spool_mark *mark)
{
    if (mark->state == SPOOL_OVER)
        return true;
    for (uint32_t lane = 0; lane < SPOOL_LANES; lane++) {
        if ((record->lanes >> lane & 1) != 0)
            return is_before(place, spool->done[lane]); /* in all its lanes alike */
    }
    return false;
}

static void enter(struct spool *spool, struct spool_segment *segment,
                  const struct spool_record *record)
{
    segment->items += spool_items_of(record);
    segment->records++;
    spool->items += spool_items_of(record);
    for (uint32_t lane = 0; lane < SPOOL_LANES; lane++) {
        if ((record->lanes >> lane & 1) == 0)
            continue;
        segment->lanes[lane]++;
        spool->lane_records[lane]++;
    }
    spool->pending_lanes |= record->lanes;
}

/* Takes out `records` records of this lane. */
static void leave_lane(struct spool *spool, struct spool_segment *segment, uint32_t lane,
                       uint32_t records)
{
    segment->lanes[lane] -= records;
    spool->lane_records[lane] -= records;
    if (spool->lane_records[lane] == 0)
        spool->pending_lanes &= ~(UINT64_C(1) << lane);
}

/* What a segment has in the sums, which then has nothing. */
static void empty_segment(struct spool *spool, struct spool_segment *segment)
{
    for (uint32_t lane = 0; lane < SPOOL_LANES; lane++)
        leave_lane(spool, segment, lane, segment->lanes[lane]);
    spool->items -= segment->items;
    segment->items = 0;
    segment->records = 0;
}

static void stop_writing(struct spool *spool)
{
    if (spool->is_open)
        close(spool->write_fd);
    spool->is_open = false;
}

static void stop_reading(struct spool *spool)
{
    if (spool->read_fd >= 0)
        close(spool->read_fd);
    spool->read_fd = -1;
}

static void remove_segment(struct spool *spool, struct spool_segment *segment)
{
    char path[PATH_ROOM];
    uint32_t index = (uint32_t)(segment - spool->segments);
    path_of(spool, segment->number, path);
    if (unlinkat(spool->storage_fd, path, 0) < 0 && errno != ENOENT)
        spool->damages++;
    if (index + 1 == spool->count)
        stop_writing(spool);
    if (segment->number == spool->read_number)
        stop_reading(spool);
    empty_segment(spool, segment);
    spool->bytes -= segment->size;
    memmove(segment, segment + 1, (spool->count - index - 1) * sizeof *segment);
    spool->count--;
}

static uint64_t held_in(const struct spool *spool, const struct spool_segment *segment)
{
    uint64_t items = 0;
    for (uint32_t i = 0; i < SPOOL_HOLDERS; i++) {
        if (spool->held[i].place.segment == segment->number)
            items += spool->held[i].items;
    }
    return items;
}

static void lose_segment(struct spool *spool, struct spool_segment *segment, enum spool_loss why)
{
    uint64_t held = held_in(spool, segment);
    spool->lost[why] += segment->items > held ? segment->items - held : 0;
    if (why == SPOOL_LOST_DAMAGED)
        spool->damages++;
    remove_segment(spool, segment);
}

/* ---- Reading ---- */

/* The file of a segment; NULL segment or false: it cannot be had. */
static bool open_segment(struct spool *spool, const struct spool_segment *segment,
                         struct spool_file *ret_file)
{
    if (spool->read_fd < 0 || spool->read_number != segment->number) {
        char path[PATH_ROOM];
        stop_reading(spool);
        path_of(spool, segment->number, path);
        spool->read_fd = openat(spool->storage_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (spool->read_fd < 0 && (errno == EROFS || errno == EACCES))
            spool->read_fd = openat(spool->storage_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        spool->read_number = segment->number;
    }
    *ret_file = (struct spool_file){spool->read_fd, segment->number, segment->size};
    return spool->read_fd >= 0;
}

/* Enters what is in the file. True: nothing in it is damaged. */
static bool count_segment(struct spool *spool, struct spool_segment *segment,
                          const struct spool_file *file)
{
    struct spool_record record;
    struct spool_mark mark;
    bool damaged = false;
    uint64_t offset = sizeof(struct spool_file_head);
    while (spool_file_find(file, &offset, &record, &mark, &damaged)) {
        spool->tail = (struct spool_place){segment->number, offset};
        if (record.written_ms > segment->newest_ms)
            segment->newest_ms = record.written_ms;
        if (!is_over(spool, spool->tail, &record, &mark))
            enter(spool, segment, &record);
        offset += spool_file_length(&record);
    }
    spool->damages += damaged;
    return !damaged;
}

/* Something in it is damaged: what cannot be found any more is lost. */
static void recount(struct spool *spool, struct spool_segment *segment,
                    const struct spool_file *file)
{
    struct spool_place tail = spool->tail;
    uint64_t items = segment->items;
    empty_segment(spool, segment);
    (void)count_segment(spool, segment, file);
    spool->tail = tail;
    if (items > segment->items)
        spool->lost[SPOOL_LOST_DAMAGED] += items - segment->items;
}

/* Where the search goes on: in the first segment that is not before the place. */
static struct spool_segment *segment_from(const struct spool *spool, struct spool_place *place)
{
    for (uint32_t i = 0; i < spool->count; i++) {
        struct spool_segment *segment = &spool->segments[i];
        if (segment->number < place->segment)
            continue;
        if (segment->number > place->segment)
            *place = (struct spool_place){segment->number, sizeof(struct spool_file_head)};
        return segment;
    }
    return NULL;
}

/* In one segment. */
static bool find_in(struct spool *spool, struct spool_segment *segment, struct spool_place *place,
                    struct spool_record *ret_record, struct spool_mark *ret_mark)
{
    struct spool_file file;
    if (!open_segment(spool, segment, &file)) {
        lose_segment(spool, segment, SPOOL_LOST_DAMAGED);
        return false;
    }
    bool damaged = false;
    bool found;
    while ((found = spool_file_find(&file, &place->offset, ret_record, ret_mark, &damaged)) &&
           is_over(spool, *place, ret_record, ret_mark))
        place->offset += spool_file_length(ret_record);
    if (damaged)
        recount(spool, segment, &file);
    return found;
}

bool spool_find(struct spool *spool, struct spool_place *place, struct spool_record *ret_record,
                struct spool_mark *ret_mark)
{
    struct spool_segment *segment;
    while ((segment = segment_from(spool, place)) != NULL) {
        uint64_t number = segment->number;
        bool is_last = segment == &spool->segments[spool->count - 1];
        if (segment->records > 0 && find_in(spool, segment, place, ret_record, ret_mark))
            return true;
        segment = find_segment(spool, number);
        if (segment != NULL && segment->records == 0 && !is_last)
            remove_segment(spool, segment);
        if (is_last)
            break;
        *place = (struct spool_place){number + 1, sizeof(struct spool_file_head)};
    }
    return false;
}

struct spool_place spool_after(struct spool_place place, const struct spool_record *record)
{
    place.offset += spool_file_length(record);
    return place;
}

static bool open_place(struct spool *spool, struct spool_place place, struct spool_file *ret_file)
{
    const struct spool_segment *segment = find_segment(spool, place.segment);
    return segment != NULL && open_segment(spool, segment, ret_file);
}

bool spool_read_mark(struct spool *spool, struct spool_place place, struct spool_record *ret_record,
                     struct spool_mark *ret_mark)
{
    struct spool_file file;
    return open_place(spool, place, &file) &&
           spool_file_read(&file, place.offset, ret_record, ret_mark);
}

int spool_read_body(struct spool *spool, struct spool_place place,
                    const struct spool_record *record, void *body)
{
    struct spool_file file;
    if (!open_place(spool, place, &file))
        return ERR_CORRUPT;
    int err = spool_file_read_body(&file, place.offset, record, body);
    if (err != 0)
        spool->damages++;
    return err;
}

bool spool_ends_with(struct spool *spool, uint64_t key)
{
    struct spool_record record;
    struct spool_mark mark;
    if (!spool_read_mark(spool, spool->tail, &record, &mark) || record.key != key)
        return false;
    void *body = malloc(record.body_len + 1u);
    check(body != NULL);
    int err = spool_read_body(spool, spool->tail, &record, body);
    free(body);
    return err == 0;
}

bool spool_is_doubtful(const struct spool *spool, struct spool_place place)
{
    return is_before(place, spool->doubtful);
}

void spool_doubt(struct spool *spool, struct spool_place end)
{
    if (is_before(spool->doubtful, end))
        spool->doubtful = end;
}

/* ---- Marks ---- */

void spool_write_mark(struct spool *spool, struct spool_place place, const struct spool_mark *mark)
{
    struct spool_file file;
    if (open_place(spool, place, &file) && spool_file_write_mark(&file, place.offset, mark) != 0)
        spool->damages++;
}

void spool_forget(struct spool *spool, struct spool_place place, const struct spool_record *record)
{
    struct spool_segment *segment = find_segment(spool, place.segment);
    for (uint32_t lane = 0; lane < SPOOL_LANES; lane++) {
        if ((record->lanes >> lane & 1) != 0)
            spool->done[lane] = spool_after(place, record);
    }
    /* Damage of the segment may have taken it out of the sums already. */
    if (segment == NULL || segment->records == 0 || segment->items < spool_items_of(record))
        return;
    segment->records--;
    segment->items -= spool_items_of(record);
    spool->items -= spool_items_of(record);
    for (uint32_t lane = 0; lane < SPOOL_LANES; lane++) {
        if ((record->lanes >> lane & 1) != 0 && segment->lanes[lane] > 0)
            leave_lane(spool, segment, lane, 1);
    }
    if (segment->records == 0)
        remove_segment(spool, segment);
}

void spool_hold(struct spool *spool, uint32_t index, struct spool_place place,
                const struct spool_record *record)
{
    check(index < SPOOL_HOLDERS);
    spool->held[index] = (struct spool_hold){place, record->lanes, spool_items_of(record)};
    spool->held_lanes |= record->lanes;
}

void spool_release(struct spool *spool, uint32_t index)
{
    check(index < SPOOL_HOLDERS);
    spool->held[index] = (struct spool_hold){0};
    spool->held_lanes = 0;
    for (uint32_t i = 0; i < SPOOL_HOLDERS; i++)
        spool->held_lanes |= spool->held[i].lanes;
}

/* ---- Opening ---- */

static int compare_numbers(const void *a, const void *b)
{
    const struct spool_segment *left = a;
    const struct spool_segment *right = b;
    return (left->number > right->number) - (left->number < right->number);
}

/* Those beyond the table's size, the newest, stay for a later start. */
static void list_segments(struct spool *spool, DIR *directory)
{
    struct dirent *entry;
    uint64_t number;
    while ((entry = readdir(directory)) != NULL && spool->count < SPOOL_SEGMENTS_MAX) {
        if (!number_of(entry->d_name, &number))
            continue;
        spool->segments[spool->count++] = (struct spool_segment){.number = number};
        if (number > spool->last_number)
            spool->last_number = number;
    }
    qsort(spool->segments, spool->count, sizeof *spool->segments, compare_numbers);
}

/* 0; ERR_VERSION: it must stay where it is; else it is of no use. */
static int read_segment(struct spool *spool, struct spool_segment *segment, bool *ret_is_whole)
{
    struct spool_file file;
    struct stat status;
    if (!open_segment(spool, segment, &file) || fstat(file.fd, &status) < 0)
        return ERR_CORRUPT;
    file.size = (uint64_t)status.st_size;
    int err = spool_file_check_head(&file);
    if (err == ERR_VERSION)
        return err;
    /* A damaged head says nothing of the records, which have hashes of their own. */
    segment->size = file.size;
    spool->bytes += file.size;
    *ret_is_whole = count_segment(spool, segment, &file) && err == 0;
    spool->damages += err != 0;
    return 0;
}

static void leave_alone(struct spool *spool, struct spool_segment *segment)
{
    uint32_t index = (uint32_t)(segment - spool->segments);
    log_warn(MSG("a spool file is of another version of limpet; it stays where it is"),
             STR("spool", spool->name), INT("segment", segment->number));
    memmove(segment, segment + 1, (spool->count - index - 1) * sizeof *segment);
    spool->count--;
}

/* The last one is written on if it ends as it should. */
static void go_on_writing(struct spool *spool, bool is_whole)
{
    if (!is_whole || spool->count == 0)
        return;
    const struct spool_segment *last = &spool->segments[spool->count - 1];
    char path[PATH_ROOM];
    path_of(spool, last->number, path);
    spool->write_fd = openat(spool->storage_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    spool->is_open = spool->write_fd >= 0;
}

static void read_segments(struct spool *spool)
{
    bool is_whole = false;
    for (uint32_t i = 0; i < spool->count;) {
        struct spool_segment *segment = &spool->segments[i];
        is_whole = false;
        int err = read_segment(spool, segment, &is_whole);
        if (err == ERR_VERSION)
            leave_alone(spool, segment);
        else if (err != 0)
            lose_segment(spool, segment, SPOOL_LOST_DAMAGED);
        else
            i++;
        is_whole &= err == 0 && i > 0 && &spool->segments[i - 1] == segment;
    }
    go_on_writing(spool, is_whole);
}

static uint64_t segment_bytes(uint64_t max_bytes)
{
    uint64_t bytes = max_bytes / SEGMENTS_WANTED;
    if (bytes > SEGMENT_MOST && max_bytes / SEGMENT_MOST < SPOOL_SEGMENTS_MAX)
        bytes = SEGMENT_MOST;
    return bytes < SEGMENT_LEAST ? SEGMENT_LEAST : bytes;
}

void spool_open(struct spool *spool, int storage_fd, const char *name, struct spool_limits limits)
{
    *spool = (struct spool){.storage_fd = storage_fd,
                            .max_bytes = limits.max_bytes,
                            .segment_bytes = segment_bytes(limits.max_bytes),
                            .max_age_ms = limits.max_age_ms,
                            .read_fd = -1};
    snprintf(spool->name, sizeof spool->name, "%s", name);
    spool->segments = calloc(SPOOL_SEGMENTS_MAX, sizeof *spool->segments);
    check(spool->segments != NULL);
    char path[PATH_ROOM];
    snprintf(path, sizeof path, SPOOL_ROOT "/%s", spool->name);
    int fd = openat(storage_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL)
        return;
    list_segments(spool, directory);
    closedir(directory);
    read_segments(spool);
    if (spool->count > 0) {
        const struct spool_segment *last = &spool->segments[spool->count - 1];
        spool->doubtful = (struct spool_place){last->number, last->size};
    }
}

void spool_drop_finished(struct spool *spool)
{
    for (uint32_t i = spool->count; i > 0; i--) {
        if (spool->segments[i - 1].records == 0)
            remove_segment(spool, &spool->segments[i - 1]);
    }
}

void spool_close(struct spool *spool)
{
    stop_writing(spool);
    stop_reading(spool);
    free(spool->segments);
    *spool = (struct spool){.read_fd = -1};
}

/* ---- Appending ---- */

static void make_room(struct spool *spool, uint64_t bytes)
{
    while (spool->count > 0 && spool->bytes + bytes > spool->max_bytes)
        lose_segment(spool, &spool->segments[0], SPOOL_LOST_FULL);
    if (spool->count == SPOOL_SEGMENTS_MAX)
        lose_segment(spool, &spool->segments[0], SPOOL_LOST_FULL);
}

static int create_segment(struct spool *spool)
{
    char path[PATH_ROOM];
    uint64_t number = spool->last_number + 1;
    int err = make_directories(spool);
    if (err != 0)
        return err;
    path_of(spool, number, path);
    int fd = openat(spool->storage_fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    err = spool_file_write_head(fd, number);
    if (err != 0) {
        close(fd);
        unlinkat(spool->storage_fd, path, 0);
        return err;
    }
    spool->last_number = number;
    spool->segments[spool->count++] =
        (struct spool_segment){.number = number, .size = sizeof(struct spool_file_head)};
    spool->bytes += sizeof(struct spool_file_head);
    spool->write_fd = fd;
    spool->is_open = true;
    return 0;
}

/* Somebody has removed the file that is written to: what is in it would be lost unnoticed. */
static void notice_removal(struct spool *spool)
{
    struct stat status;
    if (!spool->is_open || (fstat(spool->write_fd, &status) == 0 && status.st_nlink > 0))
        return;
    lose_segment(spool, &spool->segments[spool->count - 1], SPOOL_LOST_DAMAGED);
}

static int prepare_segment(struct spool *spool, uint64_t bytes)
{
    notice_removal(spool);
    if (spool->is_open) {
        const struct spool_segment *last = &spool->segments[spool->count - 1];
        if (last->records > 0 && last->size + bytes > spool->segment_bytes)
            stop_writing(spool);
    }
    make_room(spool, bytes + sizeof(struct spool_file_head));
    return spool->is_open ? 0 : create_segment(spool);
}

int spool_append(struct spool *spool, struct spool_record *record, struct slice body)
{
    record->body_len = (uint32_t)body.len;
    int err = prepare_segment(spool, spool_file_length(record));
    if (err != 0)
        return err;
    struct spool_segment *last = &spool->segments[spool->count - 1];
    struct spool_file file = {spool->write_fd, last->number, last->size};
    err = spool_file_append(&file, record, body);
    if (err != 0) {
        if (last->records == 0)
            remove_segment(spool, last);
        return err;
    }
    spool->tail = (struct spool_place){last->number, last->size};
    spool->bytes += file.size - last->size;
    last->size = file.size;
    last->newest_ms = record->written_ms;
    enter(spool, last, record);
    return 0;
}

void spool_expire(struct spool *spool, int64_t now_ms)
{
    if (spool->max_age_ms <= 0)
        return;
    while (spool->count > 0 && spool->segments[0].newest_ms < now_ms - spool->max_age_ms)
        lose_segment(spool, &spool->segments[0], SPOOL_LOST_EXPIRED);
}
