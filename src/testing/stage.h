/* What the files of testing share of a stage (testing.h): its parts, and commands. */
#pragma once

#include "script/call.h"
#include "testing/testing.h"
#include "testing/world.h"

#include <lauxlib.h>

/* A test that waits for something to be done. Lies on the stack of its coroutine, as do the texts that it points to. */
struct command {
    struct list link; /* in stage->commands */
    struct task *task;
    /* Carries it out; false: the world does not come to rest any more. */
    bool (*run)(struct stage *stage, struct command *command);
    struct span party, id, method, target, headers, data; /* id: the room's */
    struct span client;                                   /* its id */
    uint64_t number;                                      /* in: whom it concerns; out: whom it made */
    uint64_t ms;
    uint16_t code;
    bool binary;
    bool failed; /* out: stage->text says why */
};

struct stage {
    struct project *project; /* under test; a reference */
    struct loop loop;
    struct loop_clock clock;
    struct world world; /* of the test that runs */
    /* The test's own side: */
    struct project *own; /* without parties; a reference */
    struct party party;  /* of that project; its name is the file's */
    struct code *tests;  /* the file, a reference */
    struct counters counters;
    struct script script;
    struct script_ops ops;
    struct rooms rooms;
    struct list commands; /* of struct command that wait */
    struct buf text;      /* what failed, of the command that was carried out last */
};

/* The stage of a test's VM. */
struct stage *stage_of(lua_State *L);

/* Pushes the table of C functions that lua/harness/harness.lua stands on (bind.c). */
void stage_push_functions(lua_State *L);

/* Those of them that only look (looks.c). */
extern const luaL_Reg stage_looks[];
