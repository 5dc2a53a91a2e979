/* The alarms of a thread's rooms, whether those are in memory or not.
 *
 * Every so often the store is searched for alarms that are due before the next search, and each gets a timer;
 * one that a room sets for so soon gets its timer when it is durable. When a timer is over the room, which is
 * made if it isn't there, gets an EVENT_ALARM. Only then, in its turn, it is known whether the alarm still stands
 * (data_alarm_due): it may have been moved or taken back meanwhile, and timers may come twice.
 *
 * Alarms of parties that the project does not have wait until it has them; the log says so, once for each. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "loop/timer.h"
#include "store/store.h"

struct room;
struct rooms;

struct alarms {
    struct rooms *rooms;
    struct map by_room; /* of struct alarm_timer */
    struct list all;
    struct timer scan;
    struct store_search search;
    bool searching;
    bool again; /* the search that is under way is to be followed by another one, from the first alarm on */
    struct list absent; /* of struct absent_party */
    unsigned put_off;   /* how often the search was, since rooms are busy */
    unsigned looks;     /* at the wall clock, before the next search; 0: that is due when scan is */
    int64_t wall_ahead; /* ms of the wall clock before loop_now, after the last search */
    /* Behind which the search goes on; last_alarm 0: from the first. */
    struct buf last_party, last_id;
    int64_t last_alarm;
};

void alarms_init(struct alarms *alarms, struct rooms *rooms);

/* Searches for the first time, and then every so often. Does nothing where rooms have no store. */
void alarms_begin(struct alarms *alarms);

/* There are other parties: those of which alarms are due may be among them. Does nothing before alarms_begin. */
void alarms_look_again(struct alarms *alarms);

/* No alarm rings any more. */
void alarms_stop(struct alarms *alarms);

/* The room's alarm is for this time now, ms since 1970, and that is durable; 0: it has none. */
void alarms_set(struct alarms *alarms, const struct room *room, int64_t time);
