/* Bytes on their way from a room to who sends them: the writer puts them in, and the reader, for whom it is a
 * struct http_source of unknown length, takes them as fast as its client does. What was put in within one turn of
 * the loop leaves together. Either end may let go first; the last one frees it.
 *
 * Used by stream.c and events.c. Knows neither rooms nor the gate. */
#pragma once

#include "http/message.h"
#include "loop/loop.h"

struct pipe_ops {
    /* The reader asks for the first piece: the head of the answer was written. Once. */
    void (*begin)(void *user);
    /* Less waits than before. May be NULL. */
    void (*drained)(void *user);
    /* The reader wants no more, before it was told of the end; the last call. The writer may let go here. */
    void (*gone)(void *user);
};

/* Bytes that one of what waits takes besides its own, about: its head, and its place. */
#define PIPE_ITEM_COST 64u

struct pipe {
    struct http_source source; /* the reader's */
    struct loop *loop;
    const struct pipe_ops *ops; /* NULL: the writer has let go */
    void *user;
    struct http_sink *sink; /* the reader has asked for a piece; NULL: not */
    struct soon due;
    struct bytes **items; /* owned; a ring of references, what waits */
    size_t first, count, cap;
    size_t waiting; /* bytes of them */
    bool begun;
    bool ended;  /* nothing follows what waits */
    bool failed; /* it is not to be completed */
    bool told;   /* the reader knows of its end */
    bool closed; /* the reader has let go */
};

/* With a writer and a reader. NULL: no memory. */
struct pipe *pipe_new(struct loop *loop, const struct pipe_ops *ops, void *user)
    __attribute__((warn_unused_result));

/* Takes a reference of bytes, which may be empty. -ENOMEM: it has failed (pipe_fail). Does nothing when it has ended
 * or failed, or the reader is gone. */
int pipe_put(struct pipe *pipe, struct bytes *bytes);

/* All was put in: the body is complete. */
void pipe_end(struct pipe *pipe);

/* Nothing follows what waits, which is not all: the reader is told so behind it. */
void pipe_cut(struct pipe *pipe);

/* Something is missing: what waits is dropped, and the reader told so. Does nothing behind pipe_end or
 * pipe_cut. */
void pipe_fail(struct pipe *pipe);

/* The writer lets go; a pipe that has not ended fails. No call of ops follows. */
void pipe_release(struct pipe *pipe);

/* Can something be put in? */
static inline bool pipe_open(const struct pipe *pipe)
{
    return !pipe->ended && !pipe->failed && !pipe->closed;
}

/* Bytes that what waits takes. */
static inline size_t pipe_size(const struct pipe *pipe)
{
    return pipe->waiting + pipe->count * PIPE_ITEM_COST;
}
