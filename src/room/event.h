/* What happens to a room: one of these at a time is given to its script. */
#pragma once

#include "base/list.h"
#include "http/message.h"
#include "room/peer.h"

enum event_kind {
    EVENT_START,   /* the VM was made: onStart */
    EVENT_CONNECT, /* peer, request: getConnectionTags, onConnect */
    EVENT_MESSAGE, /* peer, data, len, binary: onMessage */
    EVENT_ERROR,   /* peer, data, len: onError */
    EVENT_CLOSE,   /* peer, code, data, len, clean: onClose */
    EVENT_REQUEST, /* request, exchange: onRequest */
    EVENT_TIMER,   /* handle: the script's own timer is due */
    EVENT_ALARM,   /* the room's alarm may be due: onAlarm */
    EVENT_CALL,    /* handle, exchange: another room calls a method (a struct room_call) */
    EVENT_WAKE,    /* handle: a handler that waited may go on */
    EVENT_RELOAD,  /* the room's party has another version: its script takes over, onReload */
    EVENT_HOOK, /* handle: a struct hook_call (hook.h), request, exchange: one of the party's hooks, in its lobby */
    EVENT_CHANGE, /* handle, exchange: its data is changed from outside (change.h); the script does not see it */
    EVENT_STOP, /* the room is about to leave memory: onStop */
};

struct call_chain; /* call.h */

/* A request that waits for its answer. Whoever made it stays reachable until it is called. */
struct exchange {
    /* Called exactly once, with a response that is the callee's from there on; NULL: no memory for one. */
    void (*respond)(struct exchange *exchange, struct http_response *response);
};

/* How a handler ended. */
enum outcome {
    OUTCOME_DONE,   /* it returned, or there is none */
    OUTCOME_FAILED, /* it raised, ran out of memory or was cut; said in the log already */
};

struct event {
    struct list link; /* in the room's inbox */
    uint8_t kind;     /* enum event_kind */
    bool binary, clean;
    uint16_t code;
    struct peer *peer;            /* a reference */
    struct http_request *request; /* owned */
    struct exchange *exchange;    /* NULL once answered */
    const uint8_t *data;          /* the sender's until a handler that runs at once waits, else in copy */
    size_t len;                   /* CALL: of what the call brings along */
    uint8_t *copy;                /* owned; NULL: none */
    void *handle;                 /* the script's; CALL: the call, until it is answered */
    struct call_chain *chain; /* owned; who waits, of what another room has sent, or woken; NULL: none has */
    struct http_response *failure; /* START that failed, set by the script: what to answer; owned */
    /* CONNECT, set by the script when the handler asked for a close of its own (error{close=}) */
    uint16_t close_code;
    char *close_reason; /* owned */
};

/* A zeroed event of this kind. NULL: no memory. */
struct event *event_new(enum event_kind kind) __attribute__((warn_unused_result));

/* Bytes of what a client or another room sent that it holds. */
size_t event_size(const struct event *event);

/* Frees it with all that it owns. An exchange that was not answered is answered with 500.
 * Accepts NULL. */
void event_free(struct event *event);

/* Frees what the thread keeps for its next events. Called when a loop thread ends. */
void event_thread_fini(void);
