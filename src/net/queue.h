/* Bytes that wait to be written to one connection: a list of segments, each with bytes of
 * its own or a range of shared ones. Knows no sockets. Used by the files of net alone. */
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <uv.h>

struct segment;

/* Zeroed memory is an empty queue. */
struct queue {
    struct segment *head, *tail; /* owned */
    size_t len;                  /* bytes that wait */
    size_t taken;                /* bytes of head that have left */
};

/* Chunks of a common size that are kept for reuse, for all queues of a thread. Zeroed
 * memory is an empty one. */
struct segment_pool {
    struct segment *free; /* owned */
    size_t count;
};

void segment_pool_fini(struct segment_pool *pool);

/* Appends a copy of two pieces that belong together: whole messages. They lie in one
 * segment. 0 or -ENOMEM (then nothing changed). */
int queue_copy(struct queue *queue, struct segment_pool *pool, const void *head, size_t head_len,
               const void *body, size_t body_len) __attribute__((warn_unused_result));

/* Appends a range of shared bytes and takes a reference. rest: it ends the message that the
 * segment before begins; otherwise it is whole messages. 0 or -ENOMEM. */
int queue_share(struct queue *queue, struct bytes *bytes, size_t from, size_t len, bool rest)
    __attribute__((warn_unused_result));

/* The front of the queue as at most n pieces of together at most max bytes. Returns how many
 * pieces, and their length. They stay valid until those bytes are taken, so long as nobody
 * appends to what is shared. */
unsigned queue_front(const struct queue *queue, uv_buf_t *pieces, unsigned n, size_t max, size_t *len);

/* The first len bytes have left. */
void queue_take(struct queue *queue, struct segment_pool *pool, size_t len);

/* Drops all but the first begun bytes and what completes the message that they end in;
 * see conn_drop_queued. */
void queue_drop(struct queue *queue, struct segment_pool *pool, size_t begun,
                size_t (*edge)(const uint8_t *segment, size_t sent, size_t len));

/* Drops everything. */
void queue_clear(struct queue *queue, struct segment_pool *pool);
