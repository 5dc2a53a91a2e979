/* The command line: what is asked for, as data. */
#pragma once

#include "base/config.h"
#include "base/log.h"

enum command { COMMAND_RUN, COMMAND_DEV, COMMAND_CHECK, COMMAND_HELP, COMMAND_VERSION };

/* What the arguments say; what they don't say is NULL, -1 or empty. */
struct cli {
    enum command command;
    const char *directory; /* of the project; "." */
    const char *host, *data, *config_path;
    int port, threads;       /* -1: not given */
    struct string_list vars; /* --var NAME=value, in order */
    enum log_level log_level;
    enum log_format log_format;
};

/* Reads the arguments. 0, or -EINVAL after it has said on stderr what is wrong: the exit code is
 * CLI_USAGE then. cli_fini in any case. */
int cli_parse(struct cli *cli, int argc, char **argv);
void cli_fini(struct cli *cli);

/* The text of `festa help`. */
extern const char cli_help[];

#define CLI_FAILURE 1
#define CLI_USAGE 2
