/* The queue of net/queue.h. A segment begins where a message begins, or is the rest of the
 * message before it, so that whole messages can be dropped. What a segment holds never
 * moves: the kernel may be reading it. */
#include "net/queue.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A chunk, with its head: room for the answers of a turn to a connection. And how many are
 * kept by a thread: those of as many connections that are written to in one turn. */
#define CHUNK_SIZE 2048u
#define POOL_MAX 1024u

struct segment {
    struct segment *next;
    struct bytes *shared; /* a reference; NULL: its own bytes at data */
    size_t from;          /* where it begins in shared */
    size_t len;
    size_t cap; /* at data */
    bool rest;  /* of the message that the segment before begins */
    uint8_t data[];
};

#define CHUNK_CAP (CHUNK_SIZE - sizeof(struct segment))

static uint8_t *segment_bytes(const struct segment *segment)
{
    return segment->shared ? segment->shared->data + segment->from : (uint8_t *)segment->data;
}

static void segment_free(struct segment *segment, struct segment_pool *pool)
{
    bytes_unref(segment->shared);
    if (segment->cap == CHUNK_CAP && pool->count < POOL_MAX) {
        segment->next = pool->free;
        pool->free = segment;
        pool->count++;
    } else {
        free(segment);
    }
}

void segment_pool_fini(struct segment_pool *pool)
{
    struct segment *segment;
    while ((segment = pool->free) != NULL) {
        pool->free = segment->next;
        free(segment);
    }
    pool->count = 0;
}

/* A new one at the queue's end, with room for cap bytes or more; NULL: no memory. */
static struct segment *queue_extend(struct queue *queue, struct segment_pool *pool, size_t cap)
{
    struct segment *segment = NULL;

    if (cap > SIZE_MAX / 2)
        return NULL;
    if (cap > 0 && cap < CHUNK_CAP)
        cap = CHUNK_CAP;
    if (cap == CHUNK_CAP && (segment = pool->free) != NULL) {
        pool->free = segment->next;
        pool->count--;
    } else if ((segment = malloc(sizeof *segment + cap)) == NULL) {
        return NULL;
    }
    *segment = (struct segment){.cap = cap};
    if (queue->tail)
        queue->tail->next = segment;
    else
        queue->head = segment;
    queue->tail = segment;
    return segment;
}

int queue_copy(struct queue *queue, struct segment_pool *pool, const void *head, size_t head_len,
               const void *body, size_t body_len)
{
    struct segment *segment = queue->tail;

    if (body_len > SIZE_MAX / 2 || head_len > SIZE_MAX / 2 - body_len)
        return -ENOMEM;
    if (head_len + body_len == 0)
        return 0;
    /* What is shared has no capacity. */
    if (!segment || segment->cap < segment->len || segment->cap - segment->len < head_len + body_len)
        segment = queue_extend(queue, pool, head_len + body_len);
    if (!segment)
        return -ENOMEM;
    if (head_len)
        memcpy(segment->data + segment->len, head, head_len);
    if (body_len)
        memcpy(segment->data + segment->len + head_len, body, body_len);
    segment->len += head_len + body_len;
    queue->len += head_len + body_len;
    return 0;
}

int queue_share(struct queue *queue, struct bytes *bytes, size_t from, size_t len, bool rest)
{
    CHECK(from <= bytes->len && len <= bytes->len - from);
    if (len == 0)
        return 0;
    struct segment *segment = queue_extend(queue, NULL, 0);
    if (!segment)
        return -ENOMEM;
    segment->shared = bytes_ref(bytes);
    segment->from = from;
    segment->len = len;
    segment->rest = rest;
    queue->len += len;
    return 0;
}

unsigned queue_front(const struct queue *queue, uv_buf_t *pieces, unsigned n, size_t max, size_t *len)
{
    size_t skip = queue->taken;
    unsigned count = 0;

    *len = 0;
    for (struct segment *segment = queue->head; segment && count < n && *len < max; segment = segment->next) {
        size_t piece = segment->len - skip;
        if (piece > max - *len)
            piece = max - *len;
        pieces[count].base = (char *)segment_bytes(segment) + skip;
        pieces[count].len = piece;
        *len += piece;
        skip = 0;
        count++;
    }
    return count;
}

void queue_take(struct queue *queue, struct segment_pool *pool, size_t len)
{
    CHECK(len <= queue->len);
    queue->len -= len;
    queue->taken += len;
    while (queue->head && queue->taken >= queue->head->len) {
        struct segment *segment = queue->head;
        queue->taken -= segment->len;
        queue->head = segment->next;
        segment_free(segment, pool);
    }
    if (!queue->head)
        queue->tail = NULL;
}

/* Frees the segments after the given one, all of them when it is NULL. */
static void queue_cut(struct queue *queue, struct segment_pool *pool, struct segment *last)
{
    struct segment **from = last ? &last->next : &queue->head;

    while (*from) {
        struct segment *segment = *from;
        *from = segment->next;
        queue->len -= segment->len;
        segment_free(segment, pool);
    }
    queue->tail = last;
}

void queue_drop(struct queue *queue, struct segment_pool *pool, size_t begun,
                size_t (*edge)(const uint8_t *segment, size_t sent, size_t len))
{
    struct segment *last = NULL, *segment = queue->head; /* last: the one before */
    size_t at = queue->taken + begun;                    /* in segment */

    for (; segment && at >= segment->len; segment = segment->next) {
        at -= segment->len;
        last = segment;
    }
    if (segment && at > 0 && !segment->rest) {
        size_t keep = edge(segment_bytes(segment), at, segment->len);
        CHECK(keep >= at && keep <= segment->len);
        last = segment;
        segment = keep == segment->len ? segment->next : NULL;
        queue->len -= last->len - keep;
        last->len = keep;
    }
    if (segment && segment->rest) /* of a message that was begun */
        last = segment;
    queue_cut(queue, pool, last);
    queue_take(queue, pool, 0); /* frees a segment that was cut where it had been taken */
}

void queue_clear(struct queue *queue, struct segment_pool *pool)
{
    if (queue->head)
        queue->len += queue->taken; /* queue_cut counts whole segments */
    queue->taken = 0;
    queue_cut(queue, pool, NULL);
}
