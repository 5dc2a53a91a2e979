/* A body that a room of another thread gives in pieces. Its half on the room's thread asks the source and gets the
 * pieces, the other half is the source for who sends them; between them goes one message at a time in each
 * direction. */
#include "edge/relay.h"

#include "base/check.h"

#include <stdlib.h>

struct relayed {
    struct http_source source; /* on the connection's thread */
    struct http_sink *sink;    /* there: who has asked for the next piece */
    bool closed;               /* there: nobody wants it any more */
    struct http_source *inner; /* on the room's thread; owned */
    struct http_sink ear;      /* there: what inner gives */
    struct edge *from, *home;  /* of the connection, of the room */
    struct loop_message ask, answer, close;
    struct bytes *piece; /* of the answer; owned while it is under way */
    bool ended;          /* of the answer: there is no more */
};

static struct loop *loop_of(const struct edge *edge)
{
    return edge->net->loop;
}

/* ---- on the room's thread ---- */

static void asked(struct loop_message *message)
{
    struct relayed *relayed = container_of(message, struct relayed, ask);
    relayed->inner->pull(relayed->inner, &relayed->ear);
}

/* A struct bytes is counted without atomics: what others have too crosses as a copy. */
static struct bytes *alone(struct bytes *piece)
{
    if (!piece || piece->refs == 1)
        return piece;
    struct bytes *copy = bytes_copy(piece->data, piece->len);
    bytes_unref(piece);
    return copy;
}

static void heard_piece(struct http_sink *ear, struct bytes *piece)
{
    struct relayed *relayed = container_of(ear, struct relayed, ear);
    relayed->piece = alone(piece);
    loop_post(loop_of(relayed->from), &relayed->answer);
}

static void heard_end(struct http_sink *ear)
{
    struct relayed *relayed = container_of(ear, struct relayed, ear);
    relayed->ended = true;
    loop_post(loop_of(relayed->from), &relayed->answer);
}

static void gone(struct loop_message *message);

static void closed(struct loop_message *message)
{
    struct relayed *relayed = container_of(message, struct relayed, close);

    relayed->inner->close(relayed->inner);
    relayed->inner = NULL;
    relayed->close.fn = gone; /* behind an answer that is under way */
    loop_post(loop_of(relayed->from), &relayed->close);
}

/* ---- on the connection's ---- */

static void gone(struct loop_message *message)
{
    struct relayed *relayed = container_of(message, struct relayed, close);

    relayed->from->team->away--;
    bytes_unref(relayed->piece);
    free(relayed);
}

static void answered(struct loop_message *message)
{
    struct relayed *relayed = container_of(message, struct relayed, answer);
    struct http_sink *sink = relayed->sink;
    struct bytes *piece = relayed->piece;

    if (relayed->closed)
        return;
    relayed->piece = NULL;
    if (relayed->ended)
        sink->end(sink);
    else
        sink->piece(sink, piece);
}

static void pull(struct http_source *source, struct http_sink *sink)
{
    struct relayed *relayed = container_of(source, struct relayed, source);

    relayed->sink = sink;
    loop_post(loop_of(relayed->home), &relayed->ask);
}

static void close_source(struct http_source *source)
{
    struct relayed *relayed = container_of(source, struct relayed, source);

    CHECK(!relayed->closed);
    relayed->closed = true;
    loop_post(loop_of(relayed->home), &relayed->close);
}

struct http_source *relay_source(struct edge *from, struct edge *home, struct http_source *inner)
{
    struct relayed *relayed = calloc(1, sizeof *relayed);

    if (!relayed) {
        inner->close(inner);
        return NULL;
    }
    *relayed = (struct relayed){
        .source = {.length = inner->length, .pull = pull, .close = close_source},
        .inner = inner,
        .ear = {.piece = heard_piece, .end = heard_end},
        .from = from,
        .home = home,
        .ask = {.fn = asked},
        .answer = {.fn = answered},
        .close = {.fn = closed},
    };
    from->team->away++;
    return &relayed->source;
}
