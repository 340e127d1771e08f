/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration as a flat, pointer-free snapshot in sealed anonymous memory. The supervisor
 * freezes what it has validated; the children thaw it from the descriptor they inherit, so they
 * neither open the file nor link the YAML parser. Both sides walk the schema table; the header says
 * which table, and a snapshot of another build is refused.
 */
#ifndef CONFIG_FREEZE_H
#define CONFIG_FREEZE_H

#include "base/slice.h"
#include "base/strbuf.h"
#include "config/config.h"

/* A new memfd, close-on-exec, sealed against any change; the caller closes it. */
int config_freeze(const struct config *config, int *ret_fd, struct errctx *reterr) MUST_USE;

/*
 * The configuration that was frozen, with its path and generation. Leaves fd open, at any offset.
 * ERR_VERSION: another build's; ERR_CORRUPT: damaged. Free with config_free.
 */
int config_thaw(int fd, struct config **ret_config, struct errctx *reterr) MUST_USE;

/*
 * A job by itself, for those that come while the children run: appended to `out`, in the same
 * encoding. Equal jobs have equal bytes.
 */
void config_job_freeze(const struct config_job *job, struct strbuf *out);

/* Back into *job, with copies in `arena`. ERR_VERSION: another build's; ERR_CORRUPT. */
int config_job_thaw(struct slice bytes, struct arena *arena, struct config_job *job,
                    struct errctx *reterr) MUST_USE;

#endif
