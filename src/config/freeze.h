/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration as a flat, pointer-free snapshot in sealed anonymous memory. The supervisor
 * freezes what it has validated; the children thaw it from the descriptor they inherit, so they
 * neither open the file nor link the YAML parser. Both sides walk the schema table; the header says
 * which table, and a snapshot of another build is refused.
 */
#ifndef CONFIG_FREEZE_H
#define CONFIG_FREEZE_H

#include "config/config.h"

/* A new memfd, close-on-exec, sealed against any change; the caller closes it. */
int config_freeze(const struct config *config, int *ret_fd, struct errctx *reterr) MUST_USE;

/*
 * The configuration that was frozen, with its path and generation. Leaves fd open, at any offset.
 * ERR_VERSION: another build's; ERR_CORRUPT: damaged. Free with config_free.
 */
int config_thaw(int fd, struct config **ret_config, struct errctx *reterr) MUST_USE;

#endif
