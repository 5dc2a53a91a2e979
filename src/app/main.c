/* festa: the command. */
#include "app/cli.h"
#include "app/init_command.h"
#include "app/load.h"
#include "app/server.h"
#include "app/storage_command.h"
#include "app/test_command.h"
#include "app/types_command.h"
#include "base/version.h"

#include <stdio.h>

static int fail(const struct buf *error)
{
    fprintf(stderr, "festa: %.*s%s", (int)error->len, (const char *)error->data,
            error->len && error->data[error->len - 1] == '\n' ? "" : "\n");
    return CLI_FAILURE;
}

static void report(const struct project *project)
{
    for (size_t i = 0; i < project->n_parties; i++)
        printf("party %s: %s\n", project->parties[i]->name, project->parties[i]->code->name);
    printf("All is well.\n");
}

static int serve(const struct cli *cli, struct project *project)
{
    if (log_init(2, cli->log_level, cli->log_format) != 0) {
        fputs("festa: the log can't be started\n", stderr);
        return CLI_FAILURE;
    }
    int exit_code = server_run(project, cli);
    log_fini();
    return exit_code;
}

/* festa run, dev and check: everything is loaded; then it is served or reported. */
static int load_and(const struct cli *cli)
{
    struct buf error = {0};
    int exit_code;

    if (cli->command != COMMAND_CHECK)
        server_hold_reload();
    struct project *project = load_project(cli, &error);
    if (!project && cli->command == COMMAND_DEV)
        project = load_nothing(cli, &error);
    if (!project) {
        exit_code = fail(&error);
    } else if (cli->command == COMMAND_CHECK) {
        report(project);
        exit_code = 0;
    } else {
        exit_code = serve(cli, project);
    }
    project_unref(project);
    buf_fini(&error);
    return exit_code;
}

int main(int argc, char **argv)
{
    struct cli cli;
    int exit_code = 0;

    if (cli_parse(&cli, argc, argv) != 0) {
        exit_code = CLI_USAGE;
    } else if (cli.command == COMMAND_HELP) {
        cli_print_help(stdout, cli.topic);
    } else if (cli.command == COMMAND_VERSION) {
        printf("festa %s\n", FESTA_VERSION);
    } else if (cli.command == COMMAND_TEST) {
        exit_code = test_command(&cli);
    } else if (cli.command == COMMAND_INIT) {
        exit_code = init_command(&cli);
    } else if (cli.command == COMMAND_TYPES) {
        exit_code = types_command(&cli);
    } else if (cli.command >= COMMAND_ROOMS) {
        exit_code = storage_command(&cli);
    } else {
        exit_code = load_and(&cli);
    }
    cli_fini(&cli);
    return exit_code;
}
