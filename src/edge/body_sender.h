/* Sends a body that comes in pieces behind its head, as fast as the client takes it and no faster: the next
 * piece is asked for when nothing of those before waits in the connection's queue, so two of them are in
 * memory at most. Used by http_conn.c. */
#pragma once

#include "http/message.h"
#include "net/conn.h"

/* Zeroed: nothing is being sent. */
struct body_sender {
    struct http_sink sink;
    struct http_source *source; /* owned; NULL: nothing is being sent */
    struct conn *conn;
    uint64_t left;  /* bytes that the source has yet to give */
    uint64_t taken; /* bytes that the client had taken when last looked at */
    bool pulled;    /* a piece has been asked for */
    /* All was written (whole), or the source had not what it promised; called once, unless stopped. */
    void (*ended)(struct body_sender *sender, bool whole);
};

/* Begins; the head was written before. Takes the source over, whose length is not 0. */
void body_sender_start(struct body_sender *sender, struct conn *conn, struct http_source *source,
                       void (*ended)(struct body_sender *sender, bool whole));

/* The connection's queue is empty (on_drain). */
void body_sender_drained(struct body_sender *sender);

/* Has the client taken something since this was last asked? */
bool body_sender_moves(struct body_sender *sender);

/* The connection is gone. Returns whether something was being sent. */
bool body_sender_stop(struct body_sender *sender);
