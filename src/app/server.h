/* The composition root: starts the loop threads, serves until a signal comes, and takes a project over that
 * has changed. */
#pragma once

#include "app/cli.h"
#include "script/project.h"

/* A SIGHUP that comes from here on waits until the server that is to run takes it: it would end the process. */
void server_hold_reload(void);

/* Serves the project, which the command line names; it is loaded again by SIGHUP and, in festa dev, when it has
 * changed. Returns the process's exit code: 0 after SIGTERM or SIGINT, 1 when it could not start (said on
 * stderr). A second signal ends the process at once, with 1. */
int server_run(struct project *project, const struct cli *cli);
