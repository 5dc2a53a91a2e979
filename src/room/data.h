/* A room's durable data, as its script works with it: what it has read or written lately, the batch of the
 * turn that runs, and what it waits for. The script's bindings call it during a turn of the room; the room's
 * own files call what stands at the end.
 *
 * What is known of a key lies in one map, whatever it is known from: the turn's own writes, batches that are
 * not durable yet, answers of the store. So a read sees the room's own writes at once. What is not known has to
 * be asked for: the handler waits, and while it waits for the store no other event of the room runs and its
 * turn goes on; so all that it writes between two other waits is one batch.
 *
 * A room that never asks for its data has none of this. */
#pragma once

#include "base/buf.h"
#include "room/room.h"

/* ---- during a turn ---- */

enum data_state {
    DATA_UNKNOWN, /* to be asked for: data_ask */
    DATA_ABSENT,
    DATA_PRESENT
};

/* What is known of a key. The value is the room's, until the next call. */
enum data_state data_get(struct room *room, struct span key, struct span *value);

/* These add to the turn's batch. 0, -ENOMEM, -ENOBUFS when the turn would write more than a quarter of limits.output bytes, or
 * -ENODEV: there is no store. In all of these nothing has changed. */
int data_put(struct room *room, struct span key, struct span value) __attribute__((warn_unused_result));
int data_delete(struct room *room, struct span key) __attribute__((warn_unused_result));
/* Bytes that a put of so many bytes, key and value, takes until it is durable; they count as the script's
 * (room->held). */
size_t data_cost(size_t bytes);
/* May the turn put so many keys more, that have so many bytes together with their values? */
bool data_fits(const struct room *room, size_t n, size_t bytes);
/* All keys; the alarm stays. */
int data_clear(struct room *room) __attribute__((warn_unused_result));
/* All that the room has stored, its alarm and the copy of self too, whatever the turn has written before; nothing where
 * nothing can be stored. 0 or -ENOMEM; called again in the same turn, it can't fail. */
int data_wipe(struct room *room) __attribute__((warn_unused_result));
/* time: ms since 1970, 0: none. */
int data_set_alarm(struct room *room, int64_t time) __attribute__((warn_unused_result));

/* What was kept elsewhere becomes the room's, in the turn's batch: an alarm that has failed so often, a copy of self
 * for the next VM. The same results. */
int data_restore_alarm(struct room *room, int64_t time, uint32_t attempt) __attribute__((warn_unused_result));
int data_restore_self(struct room *room, struct span self) __attribute__((warn_unused_result));

/* The room's alarm, 0: none; false: not known, to be asked for (data_ask_head). */
bool data_alarm(struct room *room, int64_t *time);

/* Between begin and end of a transaction the turn's writes can be taken back. One at a time (-EBUSY). It covers
 * the alarm. */
int data_transaction_begin(struct room *room) __attribute__((warn_unused_result));
void data_transaction_end(struct room *room, bool keep);
/* The number of the one that runs, 0: none; each has its own. */
uint64_t data_transaction(const struct room *room);
/* How many of them were taken back so far. */
uint64_t data_taken_back(const struct room *room);

/* ---- waiting: the handler is to wait (script/wait.h) and goes on by an EVENT_WAKE with the handle ---- */

/* For what the store has under those of these keys that are not known. Then the first of these is known, and others
 * behind it, as far as their values are no more than the store gives at once (STORE_PAGE): until the handler asks
 * again, or the turn ends. 0, -ENOMEM, -ENODEV. */
int data_ask(struct room *room, const struct span *keys, size_t n, void *handle)
    __attribute__((warn_unused_result));

/* For alarm and self. */
int data_ask_head(struct room *room, void *handle) __attribute__((warn_unused_result));

/* Keys from start up to finish (without it; no ptr: to the end) in bytewise order. */
struct data_range {
    struct span start, finish;
    bool reverse;
    uint32_t limit; /* entries at most; 0: any number */
};

/* For the first page of a range. */
int data_ask_range(struct room *room, const struct data_range *range, void *handle)
    __attribute__((warn_unused_result));

/* Until all that was written is durable, the turn's own batch included. false: it is already. */
bool data_sync(struct room *room, void *handle);

/* Until less than DATA_PENDING bytes wait to become durable; a script that writes faster than the disk waits here.
 * false: that is so already. */
bool data_relieve(struct room *room, void *handle);
#define DATA_PENDING (1024u * 1024u)

/* What came, after a wait; takes it. result 0; -EIO: the store could not read, text says why. */
struct data_answer {
    int result;
    const char *text;
    struct buf
        entries;    /* of a page: key, value (store_next_bytes); the caller's, buf_fini. Of the head: self */
    bool more;      /* of a page: the range goes on, */
    struct buf end; /* behind this key; the caller's, buf_fini */
};
void data_take(struct room *room, struct data_answer *answer);

/* ---- for the room's own files ---- */

/* The turn is over: what it wrote goes to the store, and has the number room->written then. */
void data_turn_end(struct room *room);

/* What was written up to room->durable is durable. */
void data_durable(struct room *room);

/* The handler that waits for the store is dropped with its VM: a transaction is taken back, an answer that is
 * still to come will be forgotten. */
void data_abandon(struct room *room);

/* Does the store still work for the room? */
bool data_busy(const struct room *room);

/* Has a batch of the room failed, and not all of that is over yet? */
bool data_broken(const struct room *room);

/* Does the store still work on a copy of self, or is one to be tried again? */
bool data_saving(const struct room *room);

/* Was the copy of self that was submitted last given up? Then the same one has to be submitted once more. */
bool data_self_lost(const struct room *room);

/* A copy of self that could not be kept is tried now. */
void data_try_again(struct room *room);

/* The room leaves memory. What was handed to the store is kept all the same. */
void data_leave(struct room *room);

/* A copy of self, which is no part of any turn: nothing waits for it. If it can't be kept it is tried again, ever less
 * often, while the room has a VM, and the rooms do not stop; the room stays in memory meanwhile, but when it is to stop
 * and something waits for it. 0, -ENOMEM, -ENODEV. */
int data_save_self(struct room *room, struct span self) __attribute__((warn_unused_result));
