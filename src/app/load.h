/* Reads all that a start or a reload needs: configuration, flags, variables, parties. */
#pragma once

#include "app/cli.h"
#include "base/buf.h"
#include "script/project.h"

/* The configuration that the command line names: its file, if there is one, then the flags; config is initialized, and to
 * be freed (config_fini) in any case. 0, or negative and error says what is wrong with it. */
int load_config(struct config *config, const struct cli *cli, struct buf *error)
    __attribute__((warn_unused_result));

/* The project that the command line names, as it is on disk now; one reference. NULL: error says all that is
 * wrong with it. */
struct project *load_project(const struct cli *cli, struct buf *error) __attribute__((warn_unused_result));

/* The same for a server that runs already and serves the version before, ready to be taken over (project_prepare);
 * called by any thread. What can't change without a restart (host, port, threads,
 * connections) keeps the value that it has in the configuration that runs; the log says so. */
struct project *load_again(const struct cli *cli, const struct project *before, struct buf *error)
    __attribute__((warn_unused_result));

/* One without parties, with the configuration if that can be read: for `festa dev`, which waits until the
 * project is mended. error is what load_project left. NULL when the folder is not there. */
struct project *load_nothing(const struct cli *cli, const struct buf *error)
    __attribute__((warn_unused_result));
