/* A list of a party's rooms, by id: those in the memory of any thread, and those that have stored something. It goes
 * from thread to thread, and to the store in the end. Each thread serves one in a turn of its loop, since it looks at
 * all of its rooms for it. */
#pragma once

#include "room/mail.h"
#include "room/room.h"
#include "store/store.h"

#define LISTING_DEFAULT 100u
#define LISTING_MAX 1000u

struct listed_room {
    char *id; /* owned */
    uint32_t connections;
    int64_t active; /* ms since 1970: its last event was over; 0: it is not in memory */
};

struct rooms_listing {
    /* What is asked; the strings are owned. */
    char *party, *prefix;
    char *after; /* only ids behind this one; NULL: from the first */
    uint32_t limit;
    /* The answer has come: called once, on the thread that has asked, never from within rooms_list, and never after
     * rooms_listing_end. */
    void (*done)(struct rooms_listing *listing);
    void *user;
    int result; /* 0, -ENOMEM, or -EIO: the store could not be read, text says why */
    const char *text;
    struct listed_room *found; /* owned */
    size_t n_found;
    /* the listing's own: */
    size_t cap;
    struct rooms *from;
    unsigned next; /* thread */
    struct mail mail;
    struct list link; /* in rooms->listings */
    struct store_search search;
    bool away, ended;
};

/* after: ptr NULL: none. NULL: no memory. */
struct rooms_listing *rooms_listing_new(struct span party, struct span prefix, struct span after,
                                        uint32_t limit) __attribute__((warn_unused_result));

void rooms_list(struct rooms_listing *listing, struct rooms *from);

/* Whoever has asked is done with it, answered or not. Accepts NULL. */
void rooms_listing_end(struct rooms_listing *listing);

/* Serves one; for rooms.c. Returns whether there is more to do. */
bool listing_serve(struct rooms *rooms);
