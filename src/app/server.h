/* The composition root: puts a loop, its sockets, rooms and scripts together, serves until a signal
 * comes, and takes them apart in order. */
#pragma once

#include "base/config.h"
#include "script/project.h"

/* Serves the project, and the folder of static files behind public_fd, which stays the caller's (-1: none).
 * Returns the process's exit code: 0 after SIGTERM or SIGINT, 1 when it could not start (said on stderr). A
 * second signal ends the process at once, with 1. */
int server_run(struct project *project, const struct config *config, int public_fd);
