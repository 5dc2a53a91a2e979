/* The durable data of rooms: keys and values, an alarm, a copy of self.
 *
 * What keeps it is a driver: SQLite in the data folder (sqlite.h), a cluster's database later. So nothing
 * here assumes a local file, and nothing waits: a call returns at once, and its answer is a call on the
 * caller's loop, which is held (loop_hold) until then. A request lies inside its owner, and is the store's
 * until its done is called, exactly once.
 *
 * Order: batches of one room are kept in the order in which they were submitted, each whole or not at all.
 * When one fails, those of the room behind it fail too, until the room is opened anew: so what is kept is
 * always what the room's first so many batches made. Only on one that is `apart` nothing builds.
 * A read sees at least what was durable (its batch's done was called) when it began.
 *
 * Everything of a room is called on one thread, its loop's. */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "base/span.h"
#include "loop/job.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stdint.h>

enum store_result {
    STORE_OK,
    STORE_FAILED,  /* nothing of it was kept; text says why */
    STORE_UNKNOWN, /* it may have been kept: the room is to be opened anew and its data read again */
};

struct store;
struct store_room;

/* ---- a batch: what one turn of a room has written ---- */

/* Operations, one behind the other as store_batch_* append them; on one key the last one counts. */
struct store_batch {
    struct store_room *room;
    struct buf ops; /* the owner frees it (buf_fini), or empties it for the next batch */
    uint32_t n_ops;
    bool apart; /* if it alone fails, those behind it are kept all the same */
    void (*done)(struct store_batch *batch, enum store_result result); /* on the room's loop */
    const char *text; /* why it failed; lasts as long as the store, as does the next */
    const char *file; /* of what, for operators; NULL: it is not about one */
    /* the store's: */
    enum store_result result;
    bool waits; /* the driver has not begun with it */
    struct list link;
    struct loop_message message;
};

/* Each appends one operation. 0 or -ENOMEM (then nothing changed). */
int store_batch_put(struct store_batch *batch, struct span key, struct span value)
    __attribute__((warn_unused_result));
int store_batch_delete(struct store_batch *batch, struct span key) __attribute__((warn_unused_result));
/* All keys; alarm and self stay. */
int store_batch_clear(struct store_batch *batch) __attribute__((warn_unused_result));
/* time: ms since 1970, 0: none. attempt: how often it has failed since it was set. */
int store_batch_alarm(struct store_batch *batch, int64_t time, uint32_t attempt)
    __attribute__((warn_unused_result));
/* A copy of self, as the script encodes it; empty: none. */
int store_batch_self(struct store_batch *batch, struct span value) __attribute__((warn_unused_result));

/* Hands it over, at the end of the loop's turn at the latest. Its room may submit others meanwhile; those that the
 * store has not begun with become durable together. */
void store_submit(struct store_batch *batch);

/* Appends what more has, which is not submitted, to the batch that its room has submitted last, when the store has not
 * begun with that: both are one then, kept whole or not at all. False: it has begun, or there is no memory; nothing
 * changed. */
bool store_extend(struct store_batch *batch, const struct store_batch *more)
    __attribute__((warn_unused_result));

/* ---- reading ---- */

/* What a driver needs to work through a read or a search on a thread of its own. */
struct store_request {
    struct list link;
    struct loop_message message;
    void (*run)(struct store_request *request, void *driver);
};

enum store_read_kind {
    STORE_GET,  /* the values of keys */
    STORE_LIST, /* a range of keys, in bytewise order */
    STORE_HEAD, /* alarm, attempt, whether there are keys, and self as the only value */
};

struct store_read {
    struct store_room *room;
    enum store_read_kind kind;
    void (*done)(struct store_read *read); /* on the room's loop */
    struct buf keys;   /* GET: the keys (store_put_bytes, one behind the other); the owner frees it. An answer
                           ends once it holds STORE_PAGE bytes */
    struct span start; /* LIST: from this key on; the owner's until done */
    struct span finish; /* LIST: up to this key, without it; no ptr: to the end */
    bool reverse;       /* LIST: from the end */
    uint32_t limit; /* LIST: entries at most, 0: any; an answer also ends once it holds STORE_PAGE bytes */
    /* The answer; entries is to be empty before. */
    enum store_result result;
    const char *text;   /* why it failed; lasts as long as the store, as does the next */
    const char *file;   /* of what, for operators; NULL: it is not about one */
    struct buf entries; /* of keys that are there: key, value (store_next_bytes), as the keys were named or in
                           order. HEAD: self, if there is one. The owner frees it */
    uint32_t n_entries;
    bool more; /* LIST: there are others behind the last one. GET: only the first n_keys were looked for */
    uint32_t n_keys;  /* GET */
    bool empty;       /* HEAD: the room holds no keys */
    int64_t alarm;    /* HEAD; 0: none */
    uint32_t attempt; /* HEAD */
    /* the store's: */
    struct store_request request;
};

#define STORE_PAGE (256u * 1024u)

void store_read(struct store_read *read);

/* Bytes with their length before them (u32 in the machine's order), as keys and entries have them. 0 or
 * -ENOMEM (then nothing changed). */
int store_put_bytes(struct buf *buf, struct span bytes) __attribute__((warn_unused_result));
/* Takes the next ones off a span of them; false at its end. */
bool store_next_bytes(struct span *rest, struct span *bytes);

/* ---- rooms ---- */

/* A room's data, to be used on this loop until store_room_release. party and id are copied. A room may be open
 * once at a time. NULL: no memory. */
struct store_room *store_room_open(struct store *store, struct loop *loop, struct span party, struct span id);
/* No batch and no read of it may be under way. Accepts NULL. */
void store_room_release(struct store_room *room);

/* A search over all rooms. */
enum store_search_kind {
    STORE_ALARMS, /* rooms with an alarm up to until, by (alarm, party, id) */
    STORE_ROOMS,  /* rooms of the party that hold anything, by id */
    STORE_USAGE, /* the same, of all parties if none is named, by (party, id); with what they hold, so it takes
                     time in proportion to that: a small limit lets reads pass in between */
};

struct store_search {
    struct store *store;
    struct loop *loop;
    enum store_search_kind kind;
    void (*done)(struct store_search *search); /* on the loop */
    int64_t until;                             /* ALARMS: ms since 1970 */
    int64_t after_alarm;     /* ALARMS: only behind (after_alarm, after_party, after_id); 0: from the first */
    struct span party;       /* ROOMS, USAGE; all spans are the owner's until done */
    struct span prefix;      /* ROOMS, USAGE: of the id */
    struct span after_party; /* ALARMS, USAGE */
    struct span after_id;    /* only ids behind this one; no ptr: from the first */
    uint32_t limit;          /* rooms at most */
    /* The answer; found is to be empty before. */
    enum store_result result;
    const char *text; /* why it failed; lasts as long as the store, as does the next */
    const char *file; /* of what, for operators; NULL: it is not about one */
    struct buf found; /* store_next_found takes it apart; the owner frees it */
    uint32_t n_found;
    /* the store's: */
    struct store_request request;
};

void store_search(struct store_search *search);

/* One room that a search has found; the spans lie in search->found. */
struct store_found {
    struct span party, id;
    int64_t alarm; /* 0: none */
    uint32_t attempt;
    uint64_t keys, bytes; /* USAGE: of keys and values; else 0 */
};

/* Takes the next one off a span of them; false at its end. */
bool store_next_found(struct span *rest, struct store_found *found);

/* ---- the store itself ---- */

#define STORE_TEXT_MAX 300u

/* A copy of everything, made while the rooms go on. Each room in it is as it was after one of its batches. */
struct store_backup {
    struct store *store;
    struct loop *loop;
    const char *
        path; /* what is to be made, in the driver's terms: a new folder, for SQLite; the owner's until done */
    void (*done)(struct store_backup *backup); /* on the loop */
    /* The answer. */
    enum store_result result;
    char text[STORE_TEXT_MAX]; /* why it failed, in one line; then nothing is left at path */
    /* the store's: */
    struct job job;
};

void store_backup(struct store_backup *backup);

/* Waits until all that was submitted is kept, and closes. No room may be open, no backup under way. The loops
 * may still have answers to call. Accepts NULL. */
void store_close(struct store *store);
