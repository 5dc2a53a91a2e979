/* Hooks: what a party is asked before a room is entered, or where there is none. They run in the party's *lobby*, a
 * room of its own on each thread that has one to call, which nobody can enter: no peers, no storage, no onStart.
 *
 * Whoever asks has a struct hook_call in a struct of its own, which stays until it is answered. */
#pragma once

#include "room/room.h"

enum hook_verdict {
    HOOK_FAILED,   /* it did not decide: its error, or there was no place for it; the response says which */
    HOOK_ANSWER,   /* the response is the answer */
    HOOK_PASS,     /* nil: go on with request */
    HOOK_REDIRECT, /* go on with request, to another room */
};

/* What onCron is told. */
struct hook_cron {
    const char *name, *schedule; /* as configured */
    int64_t time;                /* ms since 1970: when it was due */
};

struct hook_call {
    /* Its answer, once. While verdict is PASS or REDIRECT and there is no response, request is the asker's; else
     * the response (NULL: no memory for one). Of a cron's neither means anything. */
    struct exchange exchange;
    uint8_t kind;     /* enum hook_kind */
    uint8_t verdict;  /* enum hook_verdict; set by the script */
    bool unusable;    /* the script's: it has returned what can't be taken */
    struct span room; /* the id that is asked for; the asker's until the answer; ptr NULL: none is */
    const struct hook_cron *cron; /* CRON: the asker's until the answer */
    struct http_request *request; /* set by the script: with the headers as the hook has left them */
    char *party, *to; /* REDIRECT, set by the script: where to, each with a NUL behind it; owned */
    size_t to_len;    /* bytes of to, which may have a NUL in it */
};

/* The lobby of a party, made when it isn't there. NULL: no memory, or the rooms stop. */
struct room *rooms_lobby(struct rooms *rooms, struct party *party);

/* Asks the hook of call->kind. The request (NULL: a cron's) is the lobby's from here on. */
void room_hook(struct rooms *rooms, struct party *party, struct hook_call *call,
               struct http_request *request);

/* The request that the asker owns now and has not taken, and the names. */
void hook_call_fini(struct hook_call *call);
