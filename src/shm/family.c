/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shm/family.h"

#include "shm/layout.h"

static size_t texts_length(const struct family *family)
{
    return family->name.len + family->help.len + family->unit.len;
}

size_t families_length(const struct family *families, uint32_t count)
{
    size_t len = count * sizeof(struct shm_family);
    for (uint32_t i = 0; i < count; i++)
        len += texts_length(&families[i]);
    return len;
}

static uint8_t *put_text(uint8_t *at, struct slice text)
{
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    return at + text.len;
}

void families_put(uint8_t *at, const struct family *families, uint32_t count)
{
    uint8_t *text = at + count * sizeof(struct shm_family);
    for (uint32_t i = 0; i < count; i++) {
        const struct family *family = &families[i];
        check(i == 0 || slice_compare(families[i - 1].name, family->name) < 0);
        const struct shm_family stored = {
            .at = (uint32_t)(text - at),
            .type = family->type,
            .name_len = (uint32_t)family->name.len,
            .help_len = (uint32_t)family->help.len,
            .unit_len = (uint32_t)family->unit.len,
        };
        memcpy(at + i * sizeof(stored), &stored, sizeof(stored));
        text = put_text(text, family->name);
        text = put_text(text, family->help);
        text = put_text(text, family->unit);
    }
}

/* Where the texts of a family end; SIZE_MAX when that is not in body[len]. */
static size_t end_of(const struct shm_family *family, size_t len)
{
    uint64_t end = (uint64_t)family->at + family->name_len + family->help_len + family->unit_len;
    return end <= len ? (size_t)end : SIZE_MAX;
}

static bool stored_at(const uint8_t *body, size_t len, uint32_t count, uint32_t i,
                      struct shm_family *ret_family)
{
    if (i >= count || count > len / sizeof(*ret_family))
        return false;
    memcpy(ret_family, body + i * sizeof(*ret_family), sizeof(*ret_family));
    return ret_family->at >= count * sizeof(*ret_family) && end_of(ret_family, len) != SIZE_MAX;
}

size_t families_stored_length(const uint8_t *body, size_t len, uint32_t count)
{
    size_t end = count * sizeof(struct shm_family);
    for (uint32_t i = 0; i < count; i++) {
        struct shm_family family;
        if (!stored_at(body, len, count, i, &family) || family.at != end)
            return SIZE_MAX;
        end = end_of(&family, len);
    }
    return end;
}

bool families_get(const uint8_t *body, size_t len, uint32_t count, uint32_t i,
                  struct family *ret_family)
{
    struct shm_family stored;
    if (!stored_at(body, len, count, i, &stored))
        return false;
    const uint8_t *text = body + stored.at;
    ret_family->name = slice_make(text, stored.name_len);
    ret_family->help = slice_make(text + stored.name_len, stored.help_len);
    ret_family->unit = slice_make(text + stored.name_len + stored.help_len, stored.unit_len);
    ret_family->type = stored.type;
    return true;
}

bool families_find(const uint8_t *body, size_t len, uint32_t count, struct slice name,
                   struct family *ret_family)
{
    uint32_t first = 0;
    uint32_t end = count;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (!families_get(body, len, count, middle, ret_family))
            return false;
        int order = slice_compare(ret_family->name, name);
        if (order == 0)
            return true;
        if (order < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return false;
}
