/* fetch and its responses: bind_fetch.c has the call and what is sent, bind_fetched.c the response. Internal to
 * these two. */
#pragma once

#include "fetch/fetch.h"
#include "script/bind.h"

struct sending;

/* A fetch of a script's, from its call on; the object that owns it becomes the response when there is one. */
struct fetching {
    struct held held;
    struct vm *vm;
    struct fetch fetch;
    struct sending *sending; /* waits at the gate; NULL: it has left */
    bool dropped;            /* it never left */
    bool stream;             /* the body is read while it comes */
    struct task *task;       /* who waits for it, NULL: nobody */
    /* May the one that waits go on? */
    bool (*ready)(struct fetching *fetching);
    bool gathers;   /* the one that waits takes more of the body than a window */
    size_t taken;   /* bytes at the beginning of the body that the script has had */
    size_t scanned; /* of the body, in which no line ends behind taken */
    size_t request; /* bytes of what is sent */
    size_t granted; /* bytes that the body may have beyond a window, charged before they come */
    size_t charged; /* for all of it */
};

/* Values of its object. */
enum { FETCHED_BODY = 1, FETCHED_LINES, FETCHED_HEADERS, FETCHED_URL, FETCHED_VALUES = 4 };

/* The room's account has what it holds now. */
void fetching_account(struct fetching *fetching);

/* The handler waits until ready says so. Raises where that is not possible, or when another one waits for it. */
int fetching_wait(lua_State *L, struct fetching *fetching, bool (*ready)(struct fetching *fetching),
                  int (*push)(lua_State *L, struct task *task));

/* Nothing more of it will come. */
bool fetching_over(struct fetching *fetching);

/* Pushes nil, message and code. */
int fetching_failed(lua_State *L, const struct fetching *fetching);

/* Makes the object at index a response, whose head has come. */
void fetched_make(lua_State *L, int index);
