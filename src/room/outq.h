/* The output queue: every effect that a room has on the world outside, in order, each with
 * the number of the write batch that must be durable before it may be seen.
 *
 * During a turn effects are staged. At its end they leave at once when the room's queue is
 * empty and its gate is open, and otherwise join the queue. */
#pragma once

#include "room/event.h"

enum effect_kind {
    EFFECT_JOIN,      /* peer: is sent to from here on */
    EFFECT_ACCEPT,    /* peer: is let in */
    EFFECT_REFUSE,    /* peer, response */
    EFFECT_SEND,      /* peer, data, binary */
    EFFECT_BROADCAST, /* data, binary, without */
    EFFECT_CLOSE,     /* peer, code, data (the reason, may be NULL) */
    EFFECT_RESPOND,   /* exchange, response */
    EFFECT_DEPART,    /* departure */
};

/* What leaves a room through the gate and is nothing of a peer's: a fetch, a call to another room. Its owner's
 * struct begins with it or holds it; exactly one of the two is called, and with that it is the owner's again. */
struct departure {
    void (*leave)(struct departure *departure);
    /* It never leaves: what was written before it was not kept, the room is gone, or there is no memory. */
    void (*drop)(struct departure *departure);
    size_t cost; /* bytes that it takes while it waits */
};

struct effect {
    uint64_t gate; /* number of the last batch that must be durable */
    uint8_t kind;
    bool binary : 1;
    bool shared : 1; /* SEND, BROADCAST: another effect answers for the memory of data */
    uint16_t code;
    uint32_t n_without;
    size_t copies;     /* SEND, BROADCAST: bytes of what each peer gets for itself (peer_kind.copy_cost) */
    struct peer *peer; /* a reference; BROADCAST: who is left out, if it is one */
    union {
        struct bytes *data;             /* a reference */
        struct http_response *response; /* owned */
        struct departure *departure;    /* its owner's */
    };
    union {
        struct exchange *exchange;
        struct peer **without; /* BROADCAST that leaves out several: owned array of references */
    };
};

struct outq_chunk;

/* A queue of effects, in chunks, so that it grows without a copy and what has left is given back; zeroed
 * memory is an empty one. */
struct outq {
    struct outq_chunk *head, *tail; /* owned; one stays when all has left */
    uint32_t first, end;            /* in head: the first that waits; in tail: behind the last one */
    size_t count;                   /* of effects that wait */
    size_t bytes;                   /* that what waits takes: outq_cost of each */
};

/* Bytes that the effect takes while it waits, with what it owns and what malloc adds. Bytes that go to many
 * peers count for each, since each has a copy in the end. */
size_t outq_cost(const struct effect *effect);

/* Adds a copy of the effect, which owns what it points to from then on. -ENOMEM: nothing
 * was added, and what the effect owned was released. */
int outq_push(struct outq *outq, const struct effect *effect) __attribute__((warn_unused_result));

/* Lets everything out, in order, whose gate is at most durable. */
void outq_drain(struct outq *outq, struct room *room, uint64_t durable);

/* A gate that is not known yet: of what was sent in a turn that is not over. */
#define OUTQ_UNKNOWN UINT64_MAX

/* Now it is known. */
void outq_decide(struct outq *outq, uint64_t gate);

/* Moves everything to the end of another queue with this gate. -ENOMEM: some of it was dropped. */
int outq_move(struct outq *from, struct outq *to, uint64_t gate) __attribute__((warn_unused_result));

/* Drops all effects, exchanges among them are answered with 503, and gives its memory back; the queue is empty
 * and usable afterwards. */
void outq_fini(struct outq *outq);
