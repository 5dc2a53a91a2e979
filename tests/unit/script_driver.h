/* VMs without rooms, for tests of the script layer: they have the whole sandbox, but nobody connects. */
#pragma once

#include "script/call.h"
#include "script/module.h"
#include "script/script.h"

#include <stdlib.h>
#include <unistd.h>

struct script_driver {
    struct counters counters;
    struct project *project;
    struct code code; /* of a party that is never loaded */
    struct party party;
    struct script script;
};

/* A project without parties at root, which may be NULL. */
static inline void script_driver_init(struct script_driver *driver, const char *root)
{
    *driver = (struct script_driver){.code = {.refs = 1, .name = (char *)"test.lua", .path = (char *)""}};
    struct config config;
    config_init(&config);
    config.limits.handler_time = 60 * 1000; /* a Lua that collects at every chance takes its time */
    driver->project = project_empty(&config, NULL);
    driver->project->root = root ? realpath(root, NULL) : NULL;
    driver->party = (struct party){.name = (char *)"test",
                                   .folder = (char *)"",
                                   .code = &driver->code,
                                   .project = driver->project};
    if (script_init(&driver->script, driver->project, NULL, &driver->counters) != 0)
        abort();
}

static inline void script_driver_fini(struct script_driver *driver)
{
    script_fini(&driver->script);
    project_unref(driver->project);
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
