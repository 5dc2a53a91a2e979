/* The command line: what is asked for, as data. */
#pragma once

#include "base/config.h"
#include "base/log.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

enum command {
    COMMAND_RUN,
    COMMAND_DEV,
    COMMAND_CHECK,
    COMMAND_HELP,
    COMMAND_VERSION,
    COMMAND_TEST,
    COMMAND_INIT,
    COMMAND_TYPES,
    COMMAND_ROOMS,
    COMMAND_GET, /* from here on: of storage */
    COMMAND_PUT,
    COMMAND_DELETE,
    COMMAND_EXPORT,
    COMMAND_IMPORT,
    COMMAND_BACKUP,
};

/* What the arguments say; what they don't say is NULL, -1 or empty. */
struct cli {
    enum command command;
    const char *directory; /* of the project; "." */
    const char *topic;     /* help: the command that it is asked about; NULL: all */
    const char *host, *data, *config_path;
    int port, threads;       /* -1: not given */
    struct string_list vars; /* --var NAME=value, in order */
    enum log_level log_level;
    enum log_format log_format;
    /* rooms and storage: */
    const char *party, *room, *prefix; /* which rooms; NULL: all */
    const char *key, *value;           /* get, put, delete */
    const char *target;                /* backup: the folder to be made */
    bool json;
    /* test, init, types: */
    const char *filter;   /* test: only those with this in their name; NULL: all */
    const char *template; /* init; NULL: the default one */
    bool watch, force;    /* test: again after each change; init: into a folder that is not empty */
    bool names;           /* types: lists names, writes nothing */
    bool log_level_given; /* log_level was asked for */
};

/* Reads the arguments. 0, or -EINVAL after it has said on stderr what is wrong: the exit code is
 * CLI_USAGE then. cli_fini in any case. */
int cli_parse(struct cli *cli, int argc, char **argv);
void cli_fini(struct cli *cli);

/* The path as it is from anywhere. 0, -ENAMETOOLONG, or another negative errno: there is no working directory. */
int cli_absolute(const char *path, char absolute[PATH_MAX]) __attribute__((warn_unused_result));

/* The path of the data folder. 0, or -ENAMETOOLONG after it was said on stderr. */
int cli_data_folder(const struct cli *cli, char path[PATH_MAX]) __attribute__((warn_unused_result));

/* The text of `festa help`. */
extern const char cli_help[];

/* Prints the help, or what of it is about this command; NULL: all. */
void cli_print_help(FILE *out, const char *command);

#define CLI_FAILURE 1
#define CLI_USAGE 2
