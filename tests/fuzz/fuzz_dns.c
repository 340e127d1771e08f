/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers of name servers, as bytes. The first byte says which type of records is looked for. */
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "discovery/dns_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_answer answer = {.error = 0};
    if (size == 0)
        return 0;
    dns_query_parse(data + 1, size - 1, (enum config_dns_type)(data[0] % (CONFIG_DNS_NS + 1)),
                    &answer);
    check(answer.error == 0 || (answer.text != NULL && answer.len == 0));
    for (size_t i = 0; i < answer.len; i++)
        check(strlen(answer.records[i].target) > 0);
    arena_fini(&answer.arena);
    return 0;
}
