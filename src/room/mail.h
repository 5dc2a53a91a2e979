/* What one room sends another, or its thread: to a room of the same thread it comes in the same turn of the loop,
 * to others by a message to their loop. Either way later, never from within the call, and in the order in which
 * it was sent. */
#pragma once

#include "loop/loop.h"

struct rooms;

/* The rooms of all loop threads. A room lives on one of them (rooms_share_of). */
struct rooms_team {
    struct rooms *const *rooms;
    unsigned count;
    /* What is under way between rooms, and whose end has to be waited for: calls whose answer is not back, ends of
     * links, listings. */
    _Atomic size_t away;
};

/* Lies inside of what is sent; whoever has that owns it. Zeroed memory is an idle one. */
struct mail {
    struct loop_message message;
    struct list link; /* in to->arrivals */
    struct rooms *to;
    void (*arrive)(struct mail *mail);
};

/* Calls arrive on the thread of to. */
void mail_send(struct mail *mail, struct rooms *from, struct rooms *to, void (*arrive)(struct mail *mail));

/* For rooms_init and rooms_fini. */
void mail_init(struct rooms *rooms);
void mail_fini(struct rooms *rooms);

/* Something is under way that has to come to its end before the threads may, and it has. */
void mail_hold(struct rooms *rooms);
void mail_release(struct rooms *rooms);
