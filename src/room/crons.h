/* Runs what the configuration's crons are due for: onCron of the party main, in its lobby on one thread.
 *
 * Each has the minute in which it is next due (UTC). When that has come it runs, once; what was missed (the machine
 * slept, the clock was set) is not made up for. A clock that is set back by up to an hour repeats nothing; by more,
 * and all is counted from there anew. A run that is due while the one before is not over is skipped. */
#pragma once

#include "base/config.h"
#include "loop/timer.h"
#include "room/room.h"

struct crons {
    struct rooms *rooms; /* NULL: this thread runs none */
    struct timer timer;
    int64_t (*clock)(const struct loop *loop); /* ms since 1970 */
    int64_t seen;                              /* what it said last */
    int64_t look;                              /* ms: the longest sleep, after which it is asked again */
    struct cron_entry {
        char *name, *schedule; /* owned */
        struct cron_schedule times;
        int64_t due; /* ms since 1970 */
    } * entries;     /* owned */
    size_t n;
    struct list runs; /* of struct cron_run, under way */
};

/* The clock (loop_wall_ms) may be set at any time. One that never is needs no looks in between: `look` can be made larger. */
void crons_init(struct crons *crons, struct rooms *rooms, int64_t (*clock)(const struct loop *loop));

/* The configuration's crons count from here on; runs that are under way go on. */
void crons_adopt(struct crons *crons, const struct config *config);

/* Runs one now, whenever it is due, unless its run before is not over. false: there is none of this name. */
bool crons_run(struct crons *crons, struct span name);

/* Nothing more is due. */
void crons_stop(struct crons *crons);

/* All runs must be over: the rooms are gone. */
void crons_fini(struct crons *crons);
