/* festa: the command. */
#include "app/cli.h"
#include "app/environment.h"
#include "app/public_folder.h"
#include "app/server.h"
#include "base/check.h"
#include "base/version.h"
#include "script/config_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const struct buf *error)
{
    fprintf(stderr, "festa: %.*s%s", (int)error->len, (const char *)error->data,
            error->len && error->data[error->len - 1] == '\n' ? "" : "\n");
    return CLI_FAILURE;
}

/* Reads festa.lua (or --config), then lets the flags override it. */
static int read_config(struct config *config, const struct cli *cli, struct buf *error)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/festa.lua", cli->directory);
    if (n < 0 || (size_t)n >= sizeof path)
        return buf_printf(error, "the project folder's name is too long") ? -ENOMEM : -ENAMETOOLONG;

    int rc = config_file_read(config, cli->config_path ? cli->config_path : path, !cli->config_path, error);
    if (rc != 0)
        return rc;
    if (cli->host) {
        free(config->host);
        config->host = xstrdup(cli->host);
    }
    if (cli->port >= 0)
        config->port = cli->port;
    if (cli->threads >= 0)
        config->threads = cli->threads;
    config_finish(config);
    return 0;
}

static int check_folder(const char *directory, struct buf *error)
{
    struct stat info;
    if (stat(directory, &info) != 0) {
        int rc = -errno;
        (void)!buf_printf(error, "the project folder %s can't be read: %s", directory, strerror(-rc));
        return rc;
    }
    if (S_ISDIR(info.st_mode))
        return 0;
    (void)!buf_printf(error, "%s is not a folder; a project is a folder with parties/ in it", directory);
    return -ENOTDIR;
}

static void report(const struct project *project)
{
    for (size_t i = 0; i < project->n_parties; i++)
        printf("party %s: %s\n", project->parties[i]->name, project->parties[i]->code->name);
    printf("All is well.\n");
}

/* festa run and festa check: everything is loaded; then it is served or reported. */
static int load_and(const struct cli *cli)
{
    struct config config;
    struct project project = {0};
    struct buf error = {0};
    int exit_code = CLI_FAILURE, public_fd = -1;

    config_init(&config);
    if (check_folder(cli->directory, &error) != 0 || read_config(&config, cli, &error) != 0 ||
        environment_collect(&project.env, &config, cli->directory, cli, &error) != 0 ||
        project_open(&project, cli->directory, &config, &error) != 0 ||
        public_folder_open(project.root, &config, &public_fd, &error) != 0) {
        exit_code = fail(&error);
    } else if (cli->command == COMMAND_CHECK) {
        report(&project);
        exit_code = 0;
    } else if (log_init(2, cli->log_level, cli->log_format) != 0) {
        fputs("festa: the log can't be started\n", stderr);
    } else {
        exit_code = server_run(&project, &config, public_fd);
        log_fini();
    }
    if (public_fd >= 0)
        close(public_fd);
    project_close(&project);
    config_fini(&config);
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
        fputs(cli_help, stdout);
    } else if (cli.command == COMMAND_VERSION) {
        printf("festa %s\n", FESTA_VERSION);
    } else {
        exit_code = load_and(&cli);
    }
    cli_fini(&cli);
    return exit_code;
}
