/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "discovery/kube_left_out.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "shm/slot.h"

void kube_left_out_say(const struct source_host *host, enum kube_kind kind, struct slice record)
{
    bool too_large = kube_record_has(record, KUBE_TOO_LARGE);
    if (!too_large && !kube_record_has(record, KUBE_MALFORMED))
        return;
    struct slice why = kube_record_get(record, too_large ? KUBE_TOO_LARGE : KUBE_MALFORMED);
    struct strbuf name = STRBUF_GROWING;
    kube_record_add_full_name(&name, record);
    log_warn(MSG("kubernetes: an object is left out, it is too large or malformed"),
             STR("resource", kube_kind_info(kind)->resource), STR("name", name.text),
             SLICE("err", why));
    slot_add(host->slot, too_large ? COUNTER_KUBE_TOO_LARGE : COUNTER_KUBE_MALFORMED, 1);
    strbuf_fini(&name);
}
