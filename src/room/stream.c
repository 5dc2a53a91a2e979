#include "room/stream.h"

#include <errno.h>
#include <stdlib.h>

struct room_stream {
    struct pipe *pipe;
    struct room *room;
    const struct room_stream_ops *ops; /* NULL: the script has let go */
    void *user;
    unsigned refs; /* the script's, and one for each of what waits at the gate */
    size_t staged; /* bytes that wait there */
    bool ended;    /* room_stream_end was called */
};

/* Something of a stream's that passes the gate. */
struct passage {
    struct departure departure;
    struct room_stream *stream; /* a reference */
    struct bytes *data;         /* a reference; NULL: the end */
    bool whole;                 /* of the end */
};

static void stream_unref(struct room_stream *stream)
{
    if (--stream->refs > 0)
        return;
    pipe_release(stream->pipe);
    free(stream);
}

/* ---- what the reader does ---- */

static void on_begin(void *user)
{
    struct room_stream *stream = user;
    if (stream->ops)
        stream->ops->begin(stream->user);
}

static void on_moved(void *user)
{
    struct room_stream *stream = user;
    if (stream->ops)
        stream->ops->moved(stream->user);
}

static const struct pipe_ops pipe_ops = {.begin = on_begin, .drained = on_moved, .gone = on_moved};

/* ---- passing the gate ---- */

static void passage_over(struct passage *passage)
{
    struct room_stream *stream = passage->stream;

    if (passage->data)
        stream->staged -= passage->data->len;
    bytes_unref(passage->data);
    free(passage);
    stream_unref(stream);
}

static void leave(struct departure *departure)
{
    struct passage *passage = container_of(departure, struct passage, departure);
    struct pipe *pipe = passage->stream->pipe;

    if (passage->data)
        (void)pipe_put(pipe, passage->data);
    else if (passage->whole)
        pipe_end(pipe);
    else
        pipe_cut(pipe);
    passage_over(passage);
}

static void drop(struct departure *departure)
{
    struct passage *passage = container_of(departure, struct passage, departure);
    struct room_stream *stream = passage->stream;

    pipe_fail(stream->pipe);
    stream->refs++;
    passage_over(passage);
    on_moved(stream);
    stream_unref(stream);
}

static int pass(struct room_stream *stream, struct bytes *data, bool whole)
{
    struct passage *passage = malloc(sizeof *passage);

    if (!passage) {
        pipe_fail(stream->pipe);
        return -ENOMEM;
    }
    *passage = (struct passage){
        .departure = {.leave = leave, .drop = drop, .cost = sizeof *passage + bytes_cost(data)},
        .stream = stream,
        .data = bytes_ref(data),
        .whole = whole,
    };
    stream->refs++;
    stream->staged += data ? data->len : 0;
    return room_depart(stream->room, &passage->departure);
}

/* ---- what the script does ---- */

struct room_stream *room_stream_new(struct room *room, const struct room_stream_ops *ops, void *user)
{
    struct room_stream *stream = calloc(1, sizeof *stream);

    if (!stream)
        return NULL;
    *stream = (struct room_stream){.room = room, .ops = ops, .user = user, .refs = 1};
    stream->pipe = pipe_new(room->rooms->loop, &pipe_ops, stream);
    if (!stream->pipe) {
        free(stream);
        return NULL;
    }
    return stream;
}

struct http_source *room_stream_source(struct room_stream *stream)
{
    return &stream->pipe->source;
}

int room_stream_write(struct room_stream *stream, struct bytes *data)
{
    return pass(stream, data, false);
}

void room_stream_end(struct room_stream *stream, bool whole)
{
    stream->ended = true;
    if (pipe_open(stream->pipe))
        (void)pass(stream, NULL, whole);
}

size_t room_stream_waiting(const struct room_stream *stream)
{
    return stream->staged + stream->pipe->waiting;
}

bool room_stream_open(const struct room_stream *stream)
{
    return !stream->ended && pipe_open(stream->pipe);
}

void room_stream_release(struct room_stream *stream)
{
    stream->ops = NULL;
    if (!stream->ended)
        pipe_fail(stream->pipe);
    stream_unref(stream);
}
