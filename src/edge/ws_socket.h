/* A WebSocket connection as a peer of its room: the session between the connection's bytes and the
 * room's messages, and its timers (pings, closing handshake). */
#pragma once

#include "edge/edge.h"
#include "edge/rate.h"
#include "ws/session.h"

/* Ends with its last reference: one is the connection's, the others the room's. */
struct ws_socket {
    struct peer peer;
    struct ws_session session;
    struct edge *edge;
    struct conn *conn;   /* NULL: gone */
    struct list link;    /* in edge->sockets */
    char *answer;        /* owned; the 101 until it was written */
    char *place;         /* owned; party and room for the log, each with a NUL behind it; NULL: no log */
    char *close_reason;  /* owned; of our close frame */
    struct bytes *pong;  /* owned; the newest ping's payload, when its answer waits */
    uint64_t opened;     /* ms of loop_now */
    uint64_t held_since; /* ms of loop_now: the room could take nothing, so nothing was read; 0: it can */
    struct rate messages, bytes, control; /* of what the client sends; control: pings and pongs */
    uint8_t deflate;     /* bits of the window to compress with; 0: nothing is compressed, either way */
    uint8_t unanswered;  /* pings in a row that nothing came after */
    bool accepted;       /* the 101 has left, or may leave */
    bool closing;        /* a close frame of ours was written; the timer waits for its answer */
    bool ended;          /* its end was told to the room */
    uint16_t close_code; /* of that frame */
};

/* What upgrade.c has found out; the strings are its own. */
struct ws_opening {
    char *id, *uri;  /* NULL: there was no memory for it */
    char *answer;    /* the 101 */
    uint8_t deflate; /* bits of the window to compress with; 0: nothing is compressed */
    const char *remote;
    struct span party, room; /* for the log */
};

/* A socket for the connection, which it has yet to take over. NULL: no memory. */
struct ws_socket *ws_socket_new(struct edge *edge, const struct ws_opening *opening);

/* Takes the connection over; it is held until the room accepts. */
void ws_socket_attach(struct ws_socket *socket, struct conn *conn);

/* Begins the closing handshake on the server's behalf. */
void ws_socket_shut(struct ws_socket *socket, uint16_t code, const char *reason);

/* A turn is over: those read on whose compressed messages were too much for it. Returns whether there are any. */
bool ws_resume_inflating(struct edge *edge);

/* ---- ws_bounds.c ---- */

/* Of struct ws_ops: more of a message, a ping, a pong has come. What is too much ends the session with 1008. */
void ws_bound_payload(struct ws_session *session, size_t len, bool last);
void ws_bound_ping(struct ws_session *session, const uint8_t *payload, size_t len);
void ws_bound_pong(struct ws_session *session);

/* Answers the ping that waits for it, unless what was written before still waits to leave. */
void ws_answer_ping(struct ws_socket *socket);

static inline struct ws_socket *ws_socket_of(struct ws_session *session)
{
    return container_of(session, struct ws_socket, session);
}
