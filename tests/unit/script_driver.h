/* VMs without rooms, for tests of the script layer: they have the whole sandbox, but nobody connects. */
#pragma once

#include "script/call.h"
#include "script/module.h"
#include "script/script.h"

#include <stdlib.h>
#include <unistd.h>

struct script_driver {
    struct config config;
    struct counters counters;
    struct project project;
    struct code code; /* of a party that is never loaded */
    struct party party;
    struct script script;
};

/* A project without parties at root, which may be NULL. */
static inline void script_driver_init(struct script_driver *driver, const char *root)
{
    *driver = (struct script_driver){.code = {.refs = 1, .name = (char *)"test.lua", .path = (char *)""}};
    driver->project.modules = module_cache_new();
    driver->project.root = root ? realpath(root, NULL) : NULL;
    driver->party = (struct party){.name = (char *)"test",
                                   .folder = (char *)"",
                                   .code = &driver->code,
                                   .project = &driver->project};
    config_init(&driver->config);
    if (script_init(&driver->script, &driver->project, &driver->config, NULL, &driver->counters) != 0)
        abort();
}

static inline void script_driver_fini(struct script_driver *driver)
{
    script_fini(&driver->script);
    project_close(&driver->project);
    config_fini(&driver->config);
}

/* Runs a C function in a VM of its own, protected. 0, or what call_protected or vm_new said. */
static inline int script_driver_run(struct script_driver *driver, lua_CFunction function, void *data)
{
    struct vm *vm = vm_new(&driver->script, &driver->party, NULL);
    if (!vm)
        return -1;
    int rc = call_protected(vm, function, data);
    vm_free(vm);
    return rc;
}
