/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/module.h"

#include <dlfcn.h>
#include <stdio.h>

#include "base/home.h"

int module_load(const char *path, const char *symbol, struct module *ret_module,
                struct errctx *reterr)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return err_set(reterr, ERR_NOT_READY, "%s", dlerror());
    void *found = dlsym(handle, symbol);
    if (found == NULL) {
        dlclose(handle);
        return err_set(reterr, ERR_VERSION, "%s is no module of limpet", path);
    }
    *ret_module = (struct module){handle, found};
    return 0;
}

static int load_from(const char *directory, const char *file, const char *symbol,
                     struct module *ret_module, struct errctx *reterr)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", directory, file) >= (int)sizeof(path))
        return err_set(reterr, ERR_NOT_READY, "the path of %s is too long", file);
    return module_load(path, symbol, ret_module, reterr);
}

int module_load_own(const char *file, const char *symbol, struct module *ret_module,
                    struct errctx *reterr)
{
    char directory[PATH_MAX];
    if (home_of_program(directory) && load_from(directory, file, symbol, ret_module, NULL) == 0)
        return 0;
    home_libexec(directory);
    return load_from(directory, file, symbol, ret_module, reterr);
}

void module_unload(struct module *module)
{
    dlclose(module->handle);
    *module = (struct module){NULL, NULL};
}
