/* An HTTP connection: one request at a time is read, given to its room, and answered. */
#pragma once

#include "base/address.h"
#include "edge/body_sender.h"
#include "edge/edge.h"
#include "edge/intake.h"

enum http_phase {
    HTTP_PHASE_NEW,  /* nothing came yet */
    HTTP_PHASE_IDLE, /* between two requests */
    HTTP_PHASE_HEAD, /* part of a head came */
    HTTP_PHASE_BODY, /* the head came, the body not yet */
    HTTP_PHASE_BUSY, /* a request waits for its answer, or that is being sent in pieces; nothing is read, but behind
                      * an answer of unknown length */
};

/* Lives until its connection is gone and no answer is due any more. */
struct http_conn {
    struct exchange exchange; /* of the request that waits */
    struct edge *edge;
    struct conn *conn;   /* NULL: the client has gone, or upgraded */
    struct list link;    /* in edge->http_conns */
    struct list waiting; /* in edge->answered */
    struct http_parser parser;
    struct intake_share intake;    /* of a body that is being read */
    char remote[ADDRESS_TEXT_MAX]; /* the peer's address */
    uint8_t phase;                 /* enum http_phase */
    bool reading;                  /* inside of on_read: an answer is followed by the next request at once */
    bool head_only, keep_alive, old; /* of the request that waits: HEAD; the connection may go on; HTTP/1.0 */
    bool html;                       /* in festa dev: its client prefers HTML to JSON */
    struct edge *away;               /* of the thread that the last requests were sent to; NULL: none was */
    unsigned away_run;               /* how many of them in a row */
    uint64_t deadline, armed;        /* ms of loop_now: of the phase, and of the timer */
    uint64_t started;                /* ns: when the request was complete */
    struct body_sender sender;       /* of an answer whose body comes in pieces */
    int status;                      /* of that answer */
    bool endless;     /* it is of unknown length: it is read on, to notice when the client goes */
    uint64_t look;    /* ms until it is looked again whether a client that sends no more has gone */
    struct buf label; /* "METHOD\0path\0party\0room\0" of the request that waits, for the log */
};

/* Takes the connection over. NULL: no memory, and the connection was reset. */
struct http_conn *http_conn_new(struct edge *edge, struct conn *conn);

/* A request that was read already, on another thread, and may go to its room; it is the callee's, the route is not. */
void http_conn_take(struct http_conn *http, struct http_request *request, struct route *route);

/* The request that waits may go to its room, on whichever thread that lives: the request, and what the route holds,
 * is the callee's. */
void http_conn_admit(struct http_conn *http, struct http_request *request, struct route *route);

/* Another turn has begun: those that were to wait for it read on. Were there any? */
bool http_resume_answered(struct edge *edge);

/* Answers the request that waits, and goes on with the next one; close: there is none. Called once for each; http may
 * be gone after it. */
void http_conn_respond(struct http_conn *http, struct http_response *response, bool close);

/* Gives the connection up without closing it: it is a WebSocket's now. Frees it. */
struct conn *http_conn_detach(struct http_conn *http);

/* The absolute URL of a request, with a NUL behind it; the caller's. NULL: no memory. */
char *http_absolute_url(const struct http_request *request);

/* The phase's time begins, in ms; 0: it has none. Its timer is moved only when it would be late. */
void http_conn_enter(struct http_conn *http, enum http_phase phase, uint64_t ms);

/* ---- http_answer.c ---- */

/* Answers the request (or what was refused before it became one) and owns the response. With
 * close the connection ends with it. */
void http_conn_answer(struct http_conn *http, struct http_response *response, bool close);

/* The same with a text. */
void http_conn_answer_text(struct http_conn *http, int status, const char *text, const char *headers,
                           bool close);

/* What the log will call the request that waits: names are kept, since the request goes its own way. */
void http_answer_label(struct http_conn *http, const struct http_request *request, const struct route *route);

/* The request is over; says so in the log. */
void http_answer_log(struct http_conn *http, int status);

/* The client sends no more, while an answer of unknown length is being sent: has it gone? */
void http_answer_doubt(struct http_conn *http);

/* An answer is being sent, and its time is over: the client may be slow, but not take nothing. */
void http_answer_look(struct http_conn *http);

/* ---- upgrade.c ---- */

/* A request for a WebSocket, without a body: refuses it with an answer, or makes a peer of the
 * connection and hands it to its room, if the party's hook lets it. The request is this function's. */
void upgrade(struct http_conn *http, struct http_request *request);

/* The same when its room has been decided on; the request, and what the route holds, is this function's. */
void upgrade_admit(struct http_conn *http, struct http_request *request, struct party *party,
                   struct route *route);

/* Refuses it; path is for the log. */
void upgrade_refuse(struct http_conn *http, struct span path, struct http_response *response);

/* What is needed to refuse a WebSocket by opening and closing it (rejectWithClose); all is owned. */
struct upgrade_refusal {
    char *id, *uri, *answer;
    uint8_t deflate;
    char remote[ADDRESS_TEXT_MAX];
};

/* Made of the request, before it is given to the hook. false: no memory. */
bool upgrade_refusal_init(struct upgrade_refusal *refusal, const struct config *config,
                          const struct http_request *request);
void upgrade_refusal_fini(struct upgrade_refusal *refusal);

/* Refuses it with a close: 4401 for the status 401, else 4403, and the response's text. */
void upgrade_refuse_closing(struct http_conn *http, struct span path, struct http_response *response,
                            const struct upgrade_refusal *refusal);

/* The answer to a path that names no room that there is; NULL when it does, and *party is set. */
struct http_response *route_refusal(struct edge *edge, enum route_kind kind, const struct route *route,
                                    struct party **party);
