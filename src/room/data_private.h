/* What the files of a room's data share: data.c has the whole and its way to the store, data_known.c what is known of
 * keys, data_write.c what is written, data_wait.c what is waited for. */
#pragma once

#include "room/data.h"
#include "store/store.h"

/* What is known of a key. */
struct data_entry {
    struct map_node by_key;
    struct list link; /* in one of data->known's lists */
    uint64_t
        gate; /* it is not durable before this batch is: the last that wrote it, or a later one; 0: as it was read */
    bool present;
    uint32_t key_len;
    size_t len;
    char *value; /* owned; NULL when it is empty or absent */
    char key[];
};

/* How it was before a transaction touched it. */
struct data_undo {
    struct list link; /* in data->undo, the oldest first */
    struct data_entry *entry;
    uint64_t gate;
    bool known, present;
    size_t len;
    char *value; /* owned */
};

/* The alarm as the script sees it. */
struct data_alarm {
    bool known;
    int64_t time;     /* ms since 1970; 0: none */
    uint32_t attempt; /* how often its handler has failed */
    bool rings;       /* its handler runs, and has not set another one: the store still has it */
    bool written;     /* by the turn that runs */
};

struct data_batch {
    struct store_batch base;
    struct room_data *data;
    uint64_t number; /* 0: of a copy of self alone (apart), for which no output waits */
    bool saves;      /* self is in it: it counts in data->saving until it is over */
    bool sets_alarm; /* for this time: */
    int64_t alarm;
    size_t
        cost; /* bytes of its operations and of what they change in memory; in room->held until it is over */
};

struct data_read {
    struct store_read base;
    struct room_data *data;
    struct buf names;       /* owned; what the spans of base point to */
    bool answered, dropped; /* dropped: nobody waits for it any more */
};

/* Entries, and where they lie. */
struct data_known {
    struct map by_key; /* of struct data_entry */
    struct list turn;  /* those that the turn that runs has written */
    struct list dirty; /* that turns before it have written and that are not durable yet, by gate */
    struct list clean; /* the others, the longest unused first */
    size_t size;       /* bytes */
};

struct room_data {
    struct room *room; /* NULL: it has left, and the store is still at work */
    struct store_room *store;
    struct data_known known;
    struct data_batch *batch; /* of the turn that runs; NULL: it has written nothing */
    struct data_batch *last;  /* submitted last, by a turn; NULL: the store is done with it */
    struct data_batch *self;  /* submitted last with a copy of self; NULL: it is over */
    struct data_batch *again; /* the same, if it was not kept, and is to be submitted again; else NULL */
    uint32_t failures;        /* of copies alone, since one was kept */
    bool lost;                /* the copy submitted last was not kept, and is not tried again */
    struct timer later;       /* when again is */
    size_t pending;           /* bytes handed to the store, not durable yet */
    uint32_t under_way;       /* batches and reads that the store has, again included */
    uint32_t saving;          /* batches with a copy of self, the one of the turn included */
    uint64_t cleared; /* number of the last batch with a clear; until it is durable all else is absent */
    struct data_alarm alarm;
    bool broken; /* a batch has failed: all of this is forgotten as soon as the store is done with it */
    /* A transaction, and how things were before it. */
    uint64_t transaction, n_transactions; /* the one that runs, 0: none; so far */
    uint64_t n_taken_back;                /* of these */
    struct list undo;                     /* of struct data_undo */
    bool has_aside;                       /* it has cleared everything: */
    struct data_known aside;              /* what was known before that */
    size_t mark_len;                      /* bytes of the batch's operations */
    uint32_t mark_ops;
    uint64_t mark_cleared;
    struct data_alarm mark_alarm;
    /* What the handler waits for. */
    void *waiter;           /* its handle; NULL: no handler waits */
    uint64_t wait_number;   /* until this batch is durable; 0: not for that */
    bool wait_relief;       /* until less is pending */
    struct data_read *read; /* under way, or answered and not taken */
};

/* The room's data, made when it is first needed; NULL: *rc says why. */
struct room_data *data_of(struct room *room, int *rc);

/* ---- data_known.c ---- */

void known_init(struct data_known *known);
void known_fini(struct data_known *known);
/* from is empty afterwards; what to has had is not looked at. */
void known_move(struct data_known *to, struct data_known *from);

struct span known_key(const struct data_entry *entry);
/* hash: map_hash of the key. NULL: nothing is known of it. */
struct data_entry *known_find(const struct data_known *known, struct span key, uint64_t hash);
/* An entry of which nothing is known yet, in no list. NULL: no memory. */
struct data_entry *known_add(struct data_known *known, struct span key, uint64_t hash);
void known_drop(struct data_known *known, struct data_entry *entry);
/* Takes the value over, of an entry of these. */
void known_set(struct data_known *known, struct data_entry *entry, bool present, char *value, size_t len);
/* For known_set. NULL: no memory. */
char *known_copy(struct span value);

/* The store has said what is under this key. -ENOMEM: it stays unknown. */
int data_learn(struct room_data *data, struct span key, bool present, struct span value);

/* Forgets what is durable and was not used lately, down to what a room may keep of that. */
void data_shrink(struct room_data *data);

/* ---- data_write.c ---- */

/* What is not durable yet is memory of the script's: so many bytes more belong to the batch. */
void data_charge(struct data_batch *batch, size_t bytes);

/* ---- data.c ---- */

/* Hands the batch of the turn to the store, under the room's next number. */
void data_submit(struct room_data *data);

/* self is in the batch: data_saving until that is over. */
void data_saves_self(struct data_batch *batch);

/* The store has answered once; once it is done with a room that has left, frees that. */
void data_answered(struct room_data *data);

/* ---- data_wait.c ---- */

/* Does what the handler waits for hold now? Then it goes on. */
void data_check_waiter(struct room_data *data);
