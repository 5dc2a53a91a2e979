/* What a driver of store.h does, and what it is given. store.c calls it; the drivers include it. */
#pragma once

#include "store/store.h"

/* The functions of store.h that have these names, under the same rules. */
struct store_ops {
    struct store_room *(*room_open)(struct store *store, struct loop *loop, struct span party,
                                    struct span id);
    void (*room_release)(struct store_room *room);
    void (*submit)(struct store_batch *batch);
    /* May a batch that was submitted still get longer, on its room's loop? NULL: none may. */
    bool (*waits)(const struct store_batch *batch);
    void (*read)(struct store_read *read);
    void (*search)(struct store_search *search);
    void (*backup)(struct store_backup *backup);
    void (*close)(struct store *store);
};

/* These two are the first members of a driver's own. */
struct store {
    const struct store_ops *ops;
};

struct store_room {
    struct store *store;
    struct loop *loop;
};

/* An operation of a batch; the spans lie in its ops. */
struct store_op {
    enum store_op_kind { STORE_OP_PUT, STORE_OP_DELETE, STORE_OP_CLEAR, STORE_OP_ALARM, STORE_OP_SELF } kind;
    struct span key, value;
    int64_t time;
    uint32_t attempt;
};

/* Takes the next one off a span of them; false at its end. */
bool store_next_op(struct span *rest, struct store_op *op);

/* Appends a room to a search's found. 0 or -ENOMEM (then nothing changed). */
int store_put_found(struct buf *buf, const struct store_found *found) __attribute__((warn_unused_result));

/* The batches of the list, all of one loop and with their results in them: done will be called for each of them on
 * the loop, in order, with one message for all. Takes them out of the list. */
void store_post_batches(struct loop *loop, struct list *batches);

/* The same for a read and a search. */
void store_post_read(struct store_read *read);
void store_post_search(struct store_search *search);
