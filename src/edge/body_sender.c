#include "edge/body_sender.h"

#include "http/writer.h"

static void pull(struct body_sender *sender)
{
    sender->pulled = true;
    sender->source->pull(sender->source, &sender->sink);
}

bool body_sender_stop(struct body_sender *sender)
{
    struct http_source *source = sender->source;

    sender->source = NULL;
    if (source)
        source->close(source);
    return source != NULL;
}

static void end(struct body_sender *sender, bool whole)
{
    body_sender_stop(sender);
    sender->ended(sender, whole);
}

static void write_text(struct body_sender *sender, const char *text, size_t len)
{
    conn_write(sender->conn, text, len);
    sender->written += len;
}

static void write_piece(struct body_sender *sender, struct bytes *piece)
{
    char head[HTTP_CHUNK_HEAD_MAX];

    if (sender->chunked)
        write_text(sender, head, http_chunk_head(head, piece->len));
    conn_write_bytes(sender->conn, piece, 0, piece->len);
    sender->written += piece->len;
    if (sender->chunked)
        write_text(sender, HTTP_CHUNK_TAIL, sizeof HTTP_CHUNK_TAIL - 1);
}

static void on_piece(struct http_sink *sink, struct bytes *piece)
{
    struct body_sender *sender = container_of(sink, struct body_sender, sink);

    sender->pulled = false;
    if (!piece || piece->len > sender->left) {
        bytes_unref(piece);
        end(sender, false);
        return;
    }
    write_piece(sender, piece);
    if (sender->left != HTTP_LENGTH_UNKNOWN)
        sender->left -= piece->len;
    bytes_unref(piece);
    if (sender->left == 0)
        end(sender, true);
    else if (!sender->conn->waiting) /* else on_drain follows; this piece has yet to be flushed */
        pull(sender);
}

static void on_end(struct http_sink *sink)
{
    struct body_sender *sender = container_of(sink, struct body_sender, sink);

    sender->pulled = false;
    if (sender->chunked)
        write_text(sender, HTTP_CHUNK_LAST, sizeof HTTP_CHUNK_LAST - 1);
    end(sender, true);
}

void body_sender_start(struct body_sender *sender, struct conn *conn, struct http_source *source,
                       bool chunked, void (*ended)(struct body_sender *sender, bool whole))
{
    *sender = (struct body_sender){.sink = {.piece = on_piece, .end = on_end},
                                   .source = source,
                                   .conn = conn,
                                   .left = source->length,
                                   .chunked = chunked,
                                   .ended = ended};
    (void)body_sender_moves(sender); /* counts from here */
    if (!conn->waiting)
        pull(sender);
}

void body_sender_drained(struct body_sender *sender)
{
    if (sender->source && !sender->pulled)
        pull(sender);
}

bool body_sender_moves(struct body_sender *sender)
{
    /* What was written before the body counts too: then this is a number that wraps, and still only moves
     * when something was taken. */
    uint64_t taken = sender->written - conn_unsent(sender->conn);
    bool moves = taken != sender->taken;

    sender->taken = taken;
    return moves;
}

bool body_sender_starves(const struct body_sender *sender)
{
    return sender->left == HTTP_LENGTH_UNKNOWN && sender->pulled && conn_unsent(sender->conn) == 0;
}

void body_sender_probe(struct body_sender *sender)
{
    if (sender->source && sender->chunked)
        write_text(sender, "0", 1);
}
