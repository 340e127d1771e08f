/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Modules: shared objects of limpet's own, which a process loads when it needs what is in them.
 * They are of the same build as the program; one symbol leads to the rest.
 */
#ifndef BASE_MODULE_H
#define BASE_MODULE_H

#include "base/err.h"

struct module {
    void *handle;
    void *symbol;
};

/* Loads this file. ERR_NOT_READY: it cannot be; ERR_VERSION: it has no such symbol. */
int module_load(const char *path, const char *symbol, struct module *ret_module,
                struct errctx *reterr) MUST_USE;

/*
 * The same for a file where it belongs: beside the program, as in a build tree and in libexec, else
 * in libexec.
 */
int module_load_own(const char *file, const char *symbol, struct module *ret_module,
                    struct errctx *reterr) MUST_USE;

/* Nothing of it may be in use. */
void module_unload(struct module *module);

#endif
