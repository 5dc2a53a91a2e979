/* The composition root: puts a loop, its sockets, rooms and scripts together, serves until a signal
 * comes, and takes them apart in order. */
#pragma once

#include "app/cli.h"
#include "base/buf.h"
#include "script/project.h"

/* Serves the project, which the command line names and which is loaded again by SIGHUP and, in festa dev,
 * when it has changed. error: why there are no parties in it yet, in festa dev; else NULL. Returns the process's exit code: 0 after SIGTERM or SIGINT, 1 when it could
 * not start (said on stderr). A second signal ends the process at once, with 1. */
int server_run(struct project *project, const struct cli *cli, const struct buf *error);
