/* Runs files of tests, for `festa test`.
 *
 * A stage is where one file runs: a VM like a room's, of a pseudo-party, on a loop whose clock stands still. The VM
 * outlives the file's tests; what they test (world.h) is a new one for each: rooms with their real scripts, clients
 * without sockets, storage in memory.
 *
 * What a test asks for (a client, a request, time) is a command: the test waits, the command is carried out while no
 * script runs, everything comes to rest, and the test goes on. So it sees all that follows from what it did, in an
 * order that is always the same. */
#pragma once

#include "base/buf.h"
#include "http/message.h"
#include "script/project.h"

struct stage;

/* How a test ended. */
enum stage_result {
    STAGE_PASSED,
    STAGE_FAILED, /* problem says why */
    STAGE_ERRORS, /* it passed, but handlers have raised and it did not ask for that (harness.errors) */
};

/* Opens the file "tests/NAME_test.lua" of the project's folder. NULL: error has paragraphs that say why. */
struct stage *stage_open(struct project *project, const char *file, struct buf *error)
    __attribute__((warn_unused_result));

/* Appends the names of its tests, one a line; behind a "-" those that are to be skipped, behind a "+" the others. false,
 * and *problem is the caller's: the file's own code failed. */
bool stage_list(struct stage *stage, struct buf *names, struct http_problem **problem)
    __attribute__((warn_unused_result));

/* Runs the test of this number, counted from 1, in a world of its own. *problem is the caller's; it may be NULL. errors gets
 * what handlers have raised, a line each. */
enum stage_result stage_run(struct stage *stage, size_t number, struct http_problem **problem,
                            struct buf *errors);

/* Accepts NULL. */
void stage_close(struct stage *stage);
