/* Calls from one room to another: a request, or a method by its name. A call leaves its room through the output gate,
 * is an event of the room that it names, wherever that lives, and its answer passes that room's gate. Rooms are woken
 * and made for it as for a request.
 *
 * Calls nest: what the called handler calls itself is one deeper, and CALL_DEPTH_MAX is the end. The rooms that
 * wait for a call travel with it, so that one which can't be served before one of these goes on is answered at once
 * and does not wait for ever. */
#pragma once

#include "loop/timer.h"
#include "room/event.h"
#include "room/mail.h"
#include "room/outq.h"

#include <errno.h>

#define CALL_DEPTH_MAX 16u

/* Who waits for what an event brings about: the room that has called, the one that had called that, and so on. */
struct call_chain {
    uint8_t depth;
    uint64_t rooms[CALL_DEPTH_MAX]; /* hashes of party and id; 0: a lobby. The outermost first */
};

/* The chain of a call that this room makes while it has this event; NULL: it has none (a timer). false: it is too deep
 * by one. */
bool call_chain_extend(struct call_chain *chain, const struct room *room, const struct event *event);

/* May the room never come to an event with this chain: does what it waits for wait for the event? */
bool call_chain_stuck(const struct call_chain *chain, const struct room *room);

/* Lies with the caller until room_call_end; then it goes when it is back. */
struct room_call {
    /* What is asked; owned. */
    struct http_request *request; /* NULL: */
    struct bytes *args; /* the method's name, a NUL, and its arguments as the script has encoded them */
    /* The answer has come: called once, on the caller's thread, never from within room_call_begin, and never after
     * room_call_end. */
    void (*done)(struct room_call *call);
    void *user;
    /* Of a method: status 200 and what it returned, as the script has encoded that; or another status, and why not.
     * Owned; NULL: there was no memory for one. */
    struct http_response *answer;
    /* the call's own: */
    struct call_chain chain;
    struct rooms *from, *to;
    char *party, *id; /* owned: whom it is for */
    struct departure departure;
    struct exchange exchange;       /* with the room that is called */
    struct http_response *response; /* on its way back */
    struct mail mail;
    struct timer timer; /* on the caller's thread, as all that follows */
    bool beginning;     /* in room_call_begin */
    bool away;          /* at the gate or under way */
    bool answered;      /* done was called */
    bool ended;         /* nobody waits for it any more */
};

/* NULL: no memory. */
struct room_call *room_call_new(struct span party, struct span id) __attribute__((warn_unused_result));

/* Bytes that it holds. */
size_t room_call_size(const struct room_call *call);

/* Begins, in a turn of the room, with the event of its handler (NULL: none). 0, or a negative code, and the call is as
 * before: -ELOOP: it is too deep; -ENOBUFS: too much waits to leave; -ENOMEM. */
int room_call_begin(struct room_call *call, struct room *room, const struct event *event)
    __attribute__((warn_unused_result));

/* The caller is done with it, whether it is answered or not. Accepts NULL. */
void room_call_end(struct room_call *call);

/* ---- for the room's own files ---- */

/* The room's handlers that wait are at their limit: what waits in its inbox for one of them to end, while that waits
 * for it, is answered. */
void room_refuse_stuck(struct room *room);

/* What is answered where a call would never be served. */
struct http_response *call_stuck_response(void);
