/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "writer/spool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/hash.h"

enum { WINDOW = 64 << 10 /* bytes that are searched at once */ };

uint64_t spool_file_length(const struct spool_record *record)
{
    uint64_t len = SPOOL_HEADS + (uint64_t)record->body_len;
    return (len + SPOOL_ALIGN - 1) / SPOOL_ALIGN * SPOOL_ALIGN;
}

static uint64_t hash_of_head(const struct spool_file_head *head)
{
    return hash64(head, offsetof(struct spool_file_head, hash), 0);
}

static uint64_t hash_of_record(const struct spool_record *record, uint64_t seed)
{
    return hash64(record, offsetof(struct spool_record, hash), seed);
}

static uint64_t hash_of_mark(const struct spool_mark *mark, uint64_t seed)
{
    return hash64(mark, offsetof(struct spool_mark, hash), seed);
}

/* -errno, or 0 with everything read. */
static int read_all(int fd, void *bytes, size_t len, uint64_t offset)
{
    ssize_t r = pread(fd, bytes, len, (off_t)offset);
    if (r < 0)
        return -errno;
    return (size_t)r == len ? 0 : ERR_CORRUPT;
}

static int write_all(int fd, const void *bytes, size_t len, uint64_t offset)
{
    ssize_t r = pwrite(fd, bytes, len, (off_t)offset);
    if (r < 0)
        return -errno;
    return (size_t)r == len ? 0 : -ENOSPC;
}

int spool_file_write_head(int fd, uint64_t number)
{
    struct spool_file_head head = {.major = SPOOL_MAJOR, .number = number};
    memcpy(head.magic, SPOOL_MAGIC, sizeof head.magic);
    head.hash = hash_of_head(&head);
    return write_all(fd, &head, sizeof head, 0);
}

int spool_file_check_head(const struct spool_file *file)
{
    struct spool_file_head head;
    int err = read_all(file->fd, &head, sizeof head, 0);
    if (err != 0)
        return err;
    if (memcmp(head.magic, SPOOL_MAGIC, sizeof head.magic) != 0 ||
        head.hash != hash_of_head(&head) || head.number != file->number)
        return ERR_CORRUPT;
    return head.major == SPOOL_MAJOR ? 0 : ERR_VERSION;
}

/* One system call, so that a death leaves a short file and no record with a hole in it. */
static int write_record(const struct spool_file *file, struct spool_record *record,
                        struct spool_mark *mark, struct slice body)
{
    static const char padding[SPOOL_ALIGN];
    uint64_t length = spool_file_length(record);
    const struct iovec parts[] = {
        {record, sizeof *record},
        {mark, sizeof *mark},
        {(void *)(uintptr_t)body.ptr, body.len},
        {(void *)(uintptr_t)padding, (size_t)(length - SPOOL_HEADS - body.len)},
    };
    ssize_t r = pwritev(file->fd, parts, sizeof parts / sizeof *parts, (off_t)file->size);
    if (r < 0)
        return -errno;
    return (uint64_t)r == length ? 0 : -ENOSPC;
}

int spool_file_append(struct spool_file *file, struct spool_record *record, struct slice body)
{
    uint64_t seed = file->number + file->size;
    struct spool_mark mark = {.state = SPOOL_PENDING};
    record->magic = SPOOL_RECORD_MAGIC;
    record->body_len = (uint32_t)body.len;
    record->reserved = 0;
    record->body_hash = hash64(body.ptr, body.len, 0);
    record->hash = hash_of_record(record, seed);
    mark.hash = hash_of_mark(&mark, seed);
    int err = write_record(file, record, &mark, body);
    if (err != 0) {
        /* If even this fails, what is left of the record has a wrong length, and is skipped. */
        (void)(ftruncate(file->fd, (off_t)file->size) == 0);
        return err;
    }
    uint64_t length = spool_file_length(record);
    (void)sync_file_range(file->fd, (off_t)file->size, (off_t)length, SYNC_FILE_RANGE_WRITE);
    file->size += length;
    return 0;
}

static bool is_record(const struct spool_file *file, uint64_t offset,
                      const struct spool_record *record)
{
    return record->magic == SPOOL_RECORD_MAGIC &&
           record->hash == hash_of_record(record, file->number + offset) &&
           spool_file_length(record) <= file->size - offset;
}

bool spool_file_read(const struct spool_file *file, uint64_t offset,
                     struct spool_record *ret_record, struct spool_mark *ret_mark)
{
    struct {
        struct spool_record record;
        struct spool_mark mark;
    } heads;
    if (offset % SPOOL_ALIGN != 0 || offset > file->size || file->size - offset < sizeof heads ||
        read_all(file->fd, &heads, sizeof heads, offset) != 0 ||
        !is_record(file, offset, &heads.record))
        return false;
    if (heads.mark.state > SPOOL_OVER ||
        heads.mark.hash != hash_of_mark(&heads.mark, file->number + offset))
        heads.mark = (struct spool_mark){.state = SPOOL_PENDING};
    *ret_record = heads.record;
    *ret_mark = heads.mark;
    return true;
}

/* The next place, from `offset` on, where a record may start; the file's size: there is none. */
static uint64_t next_magic(const struct spool_file *file, uint64_t offset, uint8_t *window)
{
    while (offset < file->size) {
        uint64_t len = file->size - offset < WINDOW ? file->size - offset : WINDOW;
        if (read_all(file->fd, window, len, offset) != 0)
            return file->size;
        for (uint64_t i = 0; i + sizeof(uint32_t) <= len; i += SPOOL_ALIGN) {
            uint32_t magic;
            memcpy(&magic, window + i, sizeof magic);
            if (magic == SPOOL_RECORD_MAGIC)
                return offset + i;
        }
        offset += len;
    }
    return file->size;
}

/* After damage. A body may hold what looks like a magic number; a head's hash tells. */
static bool search(const struct spool_file *file, uint64_t *offset, struct spool_record *ret_record,
                   struct spool_mark *ret_mark)
{
    uint8_t *window = malloc(WINDOW);
    check(window != NULL);
    uint64_t at = (*offset + SPOOL_ALIGN - 1) / SPOOL_ALIGN * SPOOL_ALIGN;
    bool found = false;
    for (;;) {
        at = next_magic(file, at, window);
        if (at >= file->size)
            break;
        found = spool_file_read(file, at, ret_record, ret_mark);
        if (found)
            break;
        at += SPOOL_ALIGN;
    }
    free(window);
    *offset = at < file->size ? at : file->size;
    return found;
}

bool spool_file_find(const struct spool_file *file, uint64_t *offset,
                     struct spool_record *ret_record, struct spool_mark *ret_mark,
                     bool *ret_damaged)
{
    if (*offset >= file->size)
        return false;
    if (spool_file_read(file, *offset, ret_record, ret_mark))
        return true;
    *ret_damaged = true;
    return search(file, offset, ret_record, ret_mark);
}

int spool_file_read_body(const struct spool_file *file, uint64_t offset,
                         const struct spool_record *record, void *body)
{
    int err = read_all(file->fd, body, record->body_len, offset + SPOOL_HEADS);
    if (err != 0)
        return err;
    return hash64(body, record->body_len, 0) == record->body_hash ? 0 : ERR_CORRUPT;
}

int spool_file_write_mark(const struct spool_file *file, uint64_t offset,
                          const struct spool_mark *mark)
{
    struct spool_mark hashed = *mark;
    hashed.hash = hash_of_mark(&hashed, file->number + offset);
    return write_all(file->fd, &hashed, sizeof hashed, offset + sizeof(struct spool_record));
}
