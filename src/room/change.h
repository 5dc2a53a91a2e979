/* A change of a room's data from outside: an operator's. In a room that is in memory it is an event of its own, in
 * order with the others, and what it writes is a turn's batch; its script is not asked, and finds it when it reads.
 * A room that is not is not started for it. */
#pragma once

#include "room/room.h"
#include "store/store.h"

/* Lies inside its owner, and is the rooms' until done is called, exactly once. */
struct room_change {
    struct store_batch batch; /* ops: what is to be done, as store_batch_put and the others append it */
    struct span party, id;    /* the owner's until done */
    void (*done)(struct room_change *change); /* on the rooms' thread, when all of it is durable, or failed */
    /* The answer. 0; or none of it was kept: -EBUSY: self of a room that is in memory can't be replaced;
     * -ESHUTDOWN: the rooms stop; -ENODEV: nothing is stored here; -ENOBUFS: more than data_fits; -ENOMEM; -EIO:
     * the store has failed (text says why, or is NULL, and file of what, as in struct store_batch), and may have kept it. */
    int result;
    const char *text, *file;
    /* the rooms': */
    struct rooms *rooms;
    struct exchange exchange;
    struct soon soon;
    bool made; /* the room was not there */
};

/* On the thread that the room lives on. */
void rooms_change(struct rooms *rooms, struct room_change *change);

/* Where there are no rooms: straight to the store, from this loop. */
void room_change_stored(struct store *store, struct loop *loop, struct room_change *change);
