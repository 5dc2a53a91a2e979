/* An answer's body that a script writes while it is sent: the room's side of it. What is written leaves through the
 * gate, in order with all else that the room sends, and waits in a pipe until its client takes it.
 *
 * Used by script/bind_stream.c, which decides how much may wait. */
#pragma once

#include "room/pipe.h"
#include "room/room.h"

struct room_stream;

struct room_stream_ops {
    /* The head of the answer has left: the body is asked for. Once, unless the client has gone before (moved), or
     * it wants no body (HEAD). */
    void (*begin)(void *user);
    /* Less waits than before, or it is not open any more. */
    void (*moved)(void *user);
};

/* NULL: no memory. */
struct room_stream *room_stream_new(struct room *room, const struct room_stream_ops *ops, void *user)
    __attribute__((warn_unused_result));

/* For the response; it has to be closed by whoever gets it. */
struct http_source *room_stream_source(struct room_stream *stream);

/* In a turn of the room: writes. 0, or -ENOMEM, or -ENOBUFS when more than limits.output waits to leave; then it has
 * failed, and is not open any more. */
int room_stream_write(struct room_stream *stream, struct bytes *data) __attribute__((warn_unused_result));

/* In a turn of the room: it ends behind what was written; whole: or is cut off there. */
void room_stream_end(struct room_stream *stream, bool whole);

/* Bytes that were written and wait to be taken, at the gate or behind it. */
size_t room_stream_waiting(const struct room_stream *stream);

/* Does somebody still read it, and is nothing missing? */
bool room_stream_open(const struct room_stream *stream);

/* The script lets go; one that was not ended is cut off at once. No call of ops follows. */
void room_stream_release(struct room_stream *stream);
