/* What the VMs of one loop thread share, and the interface to the layers above: a
 * struct script_ops for rooms. */
#pragma once

#include "base/buf.h"
#include "base/counters.h"
#include "room/room.h"
#include "script/project.h"

struct fetch;
struct fetch_options;

/* What fetches go to in the place of the network (festa test). It completes the fetch, or lets it fail, and calls its
 * `changed`, later; close: nobody waits for it any more, and it goes. */
struct fetch_stub {
    void (*start)(const struct fetch_stub *stub, struct fetch *fetch, const struct fetch_options *options);
    void (*close)(const struct fetch_stub *stub, struct fetch *fetch);
};

struct script {
    struct project *project;     /* a reference: the version that new rooms get */
    const struct config *config; /* its */
    struct loop *loop;
    struct counters *counters;
    struct pool *pool; /* memory of the VMs (pool.h) */
    struct list warm;  /* of struct vm: those that ran last, the latest at the end */
    size_t n_warm;
    struct buf encoded; /* the last value (value.h) */
    /* Called for what a handler or a file scope has raised; NULL: nobody. answered: a client's request gets it as its
     * answer. true: the log need not say it. */
    bool (*on_failure)(void *user, const struct room *room, const char *handler, struct span message,
                       bool answered);
    void *on_failure_user;
    struct fetcher *fetcher;             /* NULL: nothing was fetched so far */
    const struct fetch_stub *fetch_stub; /* NULL: fetches go to the network */
};

extern const struct script_ops script_ops; /* its user is a struct script */

int script_init(struct script *script, struct project *project, struct loop *loop, struct counters *counters)
    __attribute__((warn_unused_result));

/* Another version of the project takes the place of the one before: its configuration and, with
 * rooms_reload, its parties count from here on. */
void script_adopt(struct script *script, struct project *project);

/* The party with this name in the version that counts; NULL when there is none. */
struct party *script_find_party(void *script, struct span name);

/* All VMs must be gone. */
void script_fini(struct script *script);
