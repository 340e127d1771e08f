/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An entry is a byte with its field, then, if that holds entries, four bytes with their length; or
 * else the lengths of key and value, each in as few bytes as it needs, and both texts.
 */
#include "discovery/kube_record.h"

#include "base/check.h"

static bool holds_entries(enum kube_field field)
{
    switch ((int)field) {
    case KUBE_OWNER:
    case KUBE_CONTAINER:
    case KUBE_INIT_CONTAINER:
    case KUBE_PORT:
    case KUBE_CONDITION:
    case KUBE_CONTAINER_STATUS:
    case KUBE_INIT_CONTAINER_STATUS:
    case KUBE_ADDRESS:
    case KUBE_SUBSET:
    case KUBE_NOT_READY_ADDRESS:
    case KUBE_TARGET:
    case KUBE_ENDPOINT:
    case KUBE_RULE:
    case KUBE_PATH:
        return true;
    default:
        return false;
    }
}

/* Seven bits a byte, the lowest first. */
static size_t take_length(struct slice *rest)
{
    size_t len = 0;
    for (unsigned shift = 0;; shift += 7) {
        check(rest->len > 0 && shift < 35);
        unsigned char byte = (unsigned char)*rest->ptr++;
        rest->len--;
        len |= (size_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return len;
    }
}

static struct slice take_bytes(struct slice *rest, size_t len)
{
    check(len <= rest->len);
    struct slice taken = {rest->ptr, len};
    rest->ptr += len;
    rest->len -= len;
    return taken;
}

bool kube_record_next(struct slice *rest, struct kube_entry *ret_entry)
{
    if (rest->len == 0)
        return false;
    *ret_entry = (struct kube_entry){.field = (enum kube_field)(unsigned char)*rest->ptr};
    (void)take_bytes(rest, 1);
    if (holds_entries(ret_entry->field)) {
        uint32_t len;
        memcpy(&len, take_bytes(rest, sizeof(len)).ptr, sizeof(len));
        ret_entry->inner = take_bytes(rest, len);
        return true;
    }
    size_t key_len = take_length(rest);
    size_t value_len = take_length(rest);
    ret_entry->key = take_bytes(rest, key_len);
    ret_entry->value = take_bytes(rest, value_len);
    return true;
}

bool kube_record_find(struct slice *rest, enum kube_field field, struct kube_entry *ret_entry)
{
    while (kube_record_next(rest, ret_entry)) {
        if (ret_entry->field == field)
            return true;
    }
    return false;
}

struct slice kube_record_get(struct slice record, enum kube_field field)
{
    struct kube_entry entry;
    return kube_record_find(&record, field, &entry) ? entry.value : SLICE_LITERAL("");
}

bool kube_record_has(struct slice record, enum kube_field field)
{
    struct kube_entry entry;
    return kube_record_find(&record, field, &entry);
}

struct slice kube_record_get_key(struct slice record, enum kube_field field, struct slice key)
{
    struct kube_entry entry;
    while (kube_record_find(&record, field, &entry)) {
        if (slice_equal(entry.key, key))
            return entry.value;
    }
    return SLICE_LITERAL("");
}

size_t kube_record_count(struct slice record, enum kube_field field)
{
    struct kube_entry entry;
    size_t count = 0;
    while (kube_record_find(&record, field, &entry))
        count++;
    return count;
}

void kube_record_add_full_name(struct strbuf *to, struct slice record)
{
    strbuf_addf(to, "%.*s/%.*s", SLICE_ARG(kube_record_get(record, KUBE_NAMESPACE)),
                SLICE_ARG(kube_record_get(record, KUBE_NAME)));
}

int kube_record_compare(const void *a, const void *b)
{
    const struct slice *left = a, *right = b;
    int order = slice_compare(kube_record_get(*left, KUBE_NAMESPACE),
                              kube_record_get(*right, KUBE_NAMESPACE));
    return order != 0 ? order
                      : slice_compare(kube_record_get(*left, KUBE_NAME),
                                      kube_record_get(*right, KUBE_NAME));
}

static void add_length(struct strbuf *record, size_t len)
{
    check(len < (size_t)1 << 35);
    for (; len >= 0x80; len >>= 7)
        strbuf_addc(record, (char)(unsigned char)(len | 0x80));
    strbuf_addc(record, (char)len);
}

void kube_record_add(struct strbuf *record, enum kube_field field, struct slice key,
                     struct slice value)
{
    check(!holds_entries(field));
    strbuf_addc(record, (char)field);
    add_length(record, key.len);
    add_length(record, value.len);
    strbuf_add(record, key.ptr, key.len);
    strbuf_add(record, value.ptr, value.len);
}

size_t kube_record_begin(struct strbuf *record, enum kube_field field)
{
    static const uint32_t nothing = 0;
    check(holds_entries(field));
    strbuf_addc(record, (char)field);
    strbuf_add(record, &nothing, sizeof(nothing));
    return record->len;
}

void kube_record_end(struct strbuf *record, size_t began)
{
    uint32_t len = (uint32_t)(record->len - began);
    memcpy(record->text + began - sizeof(len), &len, sizeof(len));
}
