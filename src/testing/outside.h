/* Where the fetches of parties go in a test: not to the network, but to what the test has said with harness.fetch. Each is
 * a request to the test's own VM (lua/harness/harness.lua), which it answers between two commands. */
#pragma once

#include "testing/world.h"

/* Takes the fetches of the world's rooms. */
void outside_take(struct world *world);

/* The path of such a request, below the room, and its headers. */
#define OUTSIDE_PATH "/fetch"
#define OUTSIDE_NOBODY 599 /* status: the test has no answer for it */
