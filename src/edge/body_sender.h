/* Sends a body that comes in pieces behind its head, as fast as the client takes it and no faster: the next
 * piece is asked for when nothing of those before waits in the connection's queue, so two of them are in
 * memory at most. One of unknown length goes in chunks, or ends with the connection. Used by http_answer.c. */
#pragma once

#include "http/message.h"
#include "net/conn.h"

/* Zeroed: nothing is being sent. */
struct body_sender {
    struct http_sink sink;
    struct http_source *source; /* owned; NULL: nothing is being sent */
    struct conn *conn;
    uint64_t left;    /* bytes that the source has yet to give; HTTP_LENGTH_UNKNOWN */
    uint64_t written; /* bytes of the body so far, with what stands around chunks */
    uint64_t taken;   /* bytes that the client had taken when last looked at */
    bool pulled;      /* a piece has been asked for */
    bool chunked;
    /* All was written (whole), or the source had not what it promised; called once, unless stopped. */
    void (*ended)(struct body_sender *sender, bool whole);
};

/* Begins; the head was written before. Takes the source over, whose length is not 0. */
void body_sender_start(struct body_sender *sender, struct conn *conn, struct http_source *source,
                       bool chunked, void (*ended)(struct body_sender *sender, bool whole));

/* The connection's queue is empty (on_drain). */
void body_sender_drained(struct body_sender *sender);

/* Has the client taken something since this was last asked? */
bool body_sender_moves(struct body_sender *sender);

/* Is it the source that is waited for: the client has taken all that there was? */
bool body_sender_starves(const struct body_sender *sender);

/* The client has said that it will send no more: it may have gone altogether, which shows when something is sent to
 * it. Sends what changes nothing, if there is such a thing: a zero in front of the next chunk's size. */
void body_sender_probe(struct body_sender *sender);

/* The connection is gone. Returns whether something was being sent. */
bool body_sender_stop(struct body_sender *sender);
