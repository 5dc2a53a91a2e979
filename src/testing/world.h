/* What a test finds around it: the rooms of a project with their scripts and storage, clients and requests, on a loop
 * whose clock stands still. No sockets: clients are peers of a kind of their own (client.c), storage is in memory.
 *
 * Each test has a world of its own. All of it is used outside of Lua: what a test's script asks for is carried out by
 * the stage (stage.h) while no script runs. */
#pragma once

#include "loop/timer.h"
#include "room/crons.h"
#include "room/room.h"
#include "script/script.h"
#include "store/store.h"

/* How long rooms may be busy without coming to rest: CPU time of the thread. */
#define WORLD_REST_MS 4000u

/* The date on which every test begins: 2026-01-01, 00:00 UTC. */
#define WORLD_WALL_START 1767225600000

/* Ports and addresses that no test depends on, for URLs. */
#define WORLD_HOST "127.0.0.1:1999"
#define WORLD_REMOTE "127.0.0.1"

struct world {
    struct loop *loop;
    struct loop_clock *clock;
    struct project *project; /* a reference */
    struct counters counters;
    struct store *store;
    struct script script;
    struct rooms rooms;
    struct crons crons;
    struct list clients;  /* of struct client (client.h), the newest at the end */
    struct list requests; /* of struct asked (request.h) */
    struct buf errors;    /* what handlers have raised and nobody was answered with: texts, each with a NUL */
    uint32_t n_errors;    /* of them */
    struct fetch_stub outside_stub;        /* takes what parties fetch (outside.h) */
    struct list outside;                   /* of struct outside_call */
    struct room *(*test_room)(void *user); /* the test's own VM, which answers it; set behind world_begin */
    void *test_user;
    uint64_t last_number; /* of a client or a request */
    bool stopped;         /* rooms_stop is done */
};

/* On a loop that has this clock, which moves on with the tests. Aborts when there is no memory. */
void world_begin(struct world *world, struct loop *loop, struct loop_clock *clock, struct project *project);

/* Everything ends, without onStop. */
void world_end(struct world *world);

/* Turns the loop until nothing is left to do at this moment. also: other rooms on the loop; NULL: none. false: it does
 * not come to an end. */
bool world_rest(struct world *world, const struct rooms *also) __attribute__((warn_unused_result));

/* Moves the clock, from one timer to the next, with rest in between. */
bool world_advance(struct world *world, const struct rooms *also, uint64_t ms)
    __attribute__((warn_unused_result));

/* The server ends, with onStop in every room, and is started again: storage is what stays. crash: without onStop, and what
 * rooms have in memory is lost. */
bool world_restart(struct world *world, const struct rooms *also, bool crash)
    __attribute__((warn_unused_result));

/* May a room have this id? As the server reads them in URLs. */
bool world_room_id_valid(struct span id);

/* The party of this name; NULL: there is none. */
struct party *world_party(struct world *world, struct span name);
