/* What the VMs of one loop thread share, and the interface to the layers above: a
 * struct script_ops for rooms. */
#pragma once

#include "base/counters.h"
#include "room/room.h"
#include "script/project.h"

struct script {
    struct project *project;
    const struct config *config;
    struct loop *loop;
    struct counters *counters;
    struct pool *pool; /* memory of the VMs (pool.h) */
    struct list warm;  /* of struct vm: those that ran last, the latest at the end */
    size_t n_warm;
};

extern const struct script_ops script_ops; /* its user is a struct script */

int script_init(struct script *script, struct project *project, const struct config *config,
                struct loop *loop, struct counters *counters) __attribute__((warn_unused_result));

/* All VMs must be gone. */
void script_fini(struct script *script);
