#include "room/pipe.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is small is given in pieces of up to this many bytes. */
#define PIECE_MAX 65536u

static void pipe_free(struct pipe *pipe)
{
    loop_soon_cancel(&pipe->due);
    free(pipe->items);
    free(pipe);
}

static struct bytes **item_at(const struct pipe *pipe, size_t i)
{
    return &pipe->items[(pipe->first + i) % pipe->cap];
}

/* Takes out the first one. */
static struct bytes *take_item(struct pipe *pipe)
{
    struct bytes *bytes = *item_at(pipe, 0);

    pipe->first = (pipe->first + 1) % pipe->cap;
    pipe->count--;
    pipe->waiting -= bytes->len;
    return bytes;
}

static void drop_all(struct pipe *pipe)
{
    while (pipe->count > 0)
        bytes_unref(take_item(pipe));
}

/* The next piece: the first one as it is, or a copy of several small ones. */
static struct bytes *take_piece(struct pipe *pipe)
{
    struct bytes *piece = NULL;
    size_t n = 0, len = 0;

    while (n < pipe->count && len + (*item_at(pipe, n))->len <= PIECE_MAX)
        len += (*item_at(pipe, n++))->len;
    if (n > 1)
        piece = bytes_new(len);
    if (!piece)
        return take_item(pipe);
    for (size_t at = 0; n > 0; n--) {
        struct bytes *item = take_item(pipe);
        memcpy(piece->data + at, item->data, item->len);
        at += item->len;
        bytes_unref(item);
    }
    return piece;
}

/* Gives the reader what it has asked for. */
static void deliver(struct soon *soon)
{
    struct pipe *pipe = container_of(soon, struct pipe, due);
    struct http_sink *sink = pipe->sink;

    if (!sink || (pipe->count == 0 && !pipe->ended && !pipe->failed))
        return;
    pipe->sink = NULL;
    if (pipe->count > 0) {
        struct bytes *piece = take_piece(pipe);
        if (pipe->ops && pipe->ops->drained)
            pipe->ops->drained(pipe->user);
        sink->piece(sink, piece);
        return;
    }
    pipe->told = true;
    if (pipe->failed)
        sink->piece(sink, NULL);
    else
        sink->end(sink);
}

static void deliver_soon(struct pipe *pipe)
{
    if (pipe->sink && (pipe->count > 0 || pipe->ended || pipe->failed))
        loop_soon(pipe->loop, &pipe->due);
}

/* ---- the reader's end ---- */

static void pull(struct http_source *source, struct http_sink *sink)
{
    struct pipe *pipe = container_of(source, struct pipe, source);

    CHECK(!pipe->sink && !pipe->told && !pipe->closed);
    pipe->sink = sink;
    if (!pipe->begun) {
        pipe->begun = true;
        if (pipe->ops)
            pipe->ops->begin(pipe->user);
    }
    deliver_soon(pipe);
}

static void close_source(struct http_source *source)
{
    struct pipe *pipe = container_of(source, struct pipe, source);

    CHECK(!pipe->closed);
    pipe->closed = true;
    pipe->sink = NULL;
    loop_soon_cancel(&pipe->due);
    drop_all(pipe);
    if (!pipe->ops)
        pipe_free(pipe);
    else if (!pipe->told)
        pipe->ops->gone(pipe->user);
}

/* ---- the writer's ---- */

struct pipe *pipe_new(struct loop *loop, const struct pipe_ops *ops, void *user)
{
    struct pipe *pipe = calloc(1, sizeof *pipe);

    if (pipe)
        *pipe = (struct pipe){
            .source = {.length = HTTP_LENGTH_UNKNOWN, .pull = pull, .close = close_source},
            .loop = loop,
            .ops = ops,
            .user = user,
            .due = {.fn = deliver},
        };
    return pipe;
}

static int grow(struct pipe *pipe)
{
    size_t cap = pipe->cap ? pipe->cap * 2 : 4;
    struct bytes **items = malloc(cap * sizeof(struct bytes *));

    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < pipe->count; i++)
        items[i] = *item_at(pipe, i);
    free(pipe->items);
    pipe->items = items;
    pipe->first = 0;
    pipe->cap = cap;
    return 0;
}

int pipe_put(struct pipe *pipe, struct bytes *bytes)
{
    if (!pipe_open(pipe) || bytes->len == 0)
        return 0;
    if (pipe->count == pipe->cap && grow(pipe) != 0) {
        pipe_fail(pipe);
        return -ENOMEM;
    }
    pipe->count++;
    *item_at(pipe, pipe->count - 1) = bytes_ref(bytes);
    pipe->waiting += bytes->len;
    deliver_soon(pipe);
    return 0;
}

void pipe_end(struct pipe *pipe)
{
    if (!pipe_open(pipe))
        return;
    pipe->ended = true;
    deliver_soon(pipe);
}

void pipe_cut(struct pipe *pipe)
{
    if (!pipe_open(pipe))
        return;
    pipe->failed = true;
    deliver_soon(pipe);
}

void pipe_fail(struct pipe *pipe)
{
    if (!pipe_open(pipe))
        return;
    drop_all(pipe);
    pipe_cut(pipe);
}

void pipe_release(struct pipe *pipe)
{
    pipe_fail(pipe);
    pipe->ops = NULL;
    if (pipe->closed)
        pipe_free(pipe);
}
