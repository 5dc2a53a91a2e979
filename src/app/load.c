#include "app/load.h"

#include "app/certificates.h"
#include "app/environment.h"
#include "app/public_folder.h"
#include "base/check.h"
#include "base/log.h"
#include "script/code.h"
#include "script/config_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

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

/* Lets the flags override what festa.lua says. */
static void apply_flags(struct config *config, const struct cli *cli)
{
    if (cli->host) {
        free(config->host);
        config->host = xstrdup(cli->host);
    }
    if (cli->port >= 0)
        config->port = cli->port;
    if (cli->threads >= 0)
        config->threads = cli->threads;
    config->dev = cli->command == COMMAND_DEV || cli->command == COMMAND_TEST;
    config_finish(config);
}

/* The path of festa.lua, or --config. To be freed; NULL: no memory. */
static char *config_path(const struct cli *cli)
{
    struct buf path = {0};

    if (cli->config_path)
        return strdup(cli->config_path);
    if (buf_printf(&path, "%s/festa.lua", cli->directory) == 0 && buf_append(&path, "", 1) == 0)
        return (char *)path.data;
    buf_fini(&path);
    return NULL;
}

int load_config(struct config *config, const struct cli *cli, struct buf *error)
{
    char *path = config_path(cli);
    int rc = path ? config_file_read(config, path, !cli->config_path, error) : -ENOMEM;

    free(path);
    apply_flags(config, cli);
    return rc;
}

/* Says why what a key of the configuration names can't be used, with the line that names it. */
static void complain_of(const struct cli *cli, const char *key, const struct buf *why, struct buf *error)
{
    char *path = config_path(cli);

    if (path)
        code_complain(error, path, strncmp(path, "./", 2) == 0 ? path + 2 : path, code_line_of(path, key),
                      "%.*s", (int)why->len, (const char *)why->data);
    free(path);
}

/* Opens the folder of static files; what is wrong with the one that the configuration names is said with the
 * line that names it. */
static int open_public(struct project *project, const struct cli *cli, struct buf *error)
{
    struct buf why = {0};
    char data[PATH_MAX];

    int rc = cli_data_folder(cli, data);
    if (rc == 0)
        rc = public_folder_open(project->root, &project->config, data, &project->public_fd, &why);
    if (rc != 0 && project->config.public_set)
        complain_of(cli, "public", &why, error);
    else if (rc != 0)
        (void)!buf_append(error, why.data, why.len);
    buf_fini(&why);
    return rc;
}

/* Has the file a certificate, as PEM (RFC 7468)? */
static bool has_certificate(FILE *file)
{
    char line[256];
    bool found = false;

    while (!found && fgets(line, sizeof line, file))
        found = strncmp(line, "-----BEGIN CERTIFICATE-----", 27) == 0 ||
                strncmp(line, "-----BEGIN TRUSTED CERTIFICATE-----", 35) == 0;
    return found;
}

/* The file of authorities that fetch trusts: it must be there, and its name becomes absolute. */
static int find_fetch_ca(struct project *project, const struct cli *cli, struct buf *error)
{
    struct config *config = &project->config;
    struct buf full = {0};
    int rc = 0;

    if (!config->fetch_ca)
        return 0;
    if (buf_printf(&full, "%s%s%s", config->fetch_ca[0] == '/' ? "" : project->root,
                   config->fetch_ca[0] == '/' ? "" : "/", config->fetch_ca) != 0 ||
        buf_append(&full, "", 1) != 0) {
        buf_fini(&full);
        return -ENOMEM;
    }
    FILE *file = fopen((const char *)full.data, "re");
    if (!file)
        rc = -errno;
    else if (!has_certificate(file))
        rc = -EINVAL;
    if (file)
        fclose(file);
    if (rc != 0) {
        char *path = config_path(cli);
        const char *name = path && strncmp(path, "./", 2) == 0 ? path + 2 : path;
        if (path)
            code_complain(error, path, name, code_line_of(path, "fetchCa"), "fetchCa = \"%.200s\" %s%s",
                          config->fetch_ca, rc == -EINVAL ? "has no certificate in it" : "can't be read: ",
                          rc == -EINVAL ? "" : strerror(-rc));
        free(path);
        buf_fini(&full);
        return rc;
    }
    free(config->fetch_ca);
    config->fetch_ca = (char *)full.data;
    return 0;
}

/* Whoever serves the project opens them again; here it shows whether they are whole. */
static int check_certificates(const struct project *project, const struct cli *cli, struct buf *error)
{
    struct tls_server *server;
    struct buf warnings = {0}, why = {0};

    int rc = certificates_open(cli->directory, &project->config, &server, &why, &warnings);
    if (rc != 0)
        complain_of(cli, "tls", &why, error);
    if (rc == 0 && warnings.len > 0 && cli->command == COMMAND_CHECK)
        fprintf(stderr, "festa: %.*s\n", (int)warnings.len, (const char *)warnings.data);
    tls_server_unref(server);
    buf_fini(&warnings);
    buf_fini(&why);
    return rc;
}

struct project *load_project(const struct cli *cli, struct buf *error)
{
    struct project *project = NULL;
    struct config config;
    struct string_list env = {0};

    config_init(&config);
    if (check_folder(cli->directory, error) == 0 && load_config(&config, cli, error) == 0 &&
        environment_collect(&env, &config, cli->directory, cli, error) == 0)
        project = project_open(cli->directory, &config, &env, error);
    if (project && (open_public(project, cli, error) != 0 || find_fetch_ca(project, cli, error) != 0 ||
                    check_certificates(project, cli, error) != 0)) {
        project_unref(project);
        project = NULL;
    }
    config_fini(&config);
    string_list_fini(&env);
    return project;
}

struct project *load_again(const struct cli *cli, const struct project *before, struct buf *error)
{
    struct project *project = load_project(cli, error);
    if (!project)
        return NULL;
    const struct config *running = &before->config;
    struct config *config = &project->config;
    struct buf changed = {0};
    const struct {
        const char *name;
        bool changed;
    } fixed[] = {
        {"host", strcmp(config->host, running->host) != 0},
        {"port", config->port != running->port},
        {"threads", config->threads != running->threads},
        {"tls", (config->tls_certs.count > 0) != (running->tls_certs.count > 0)},
        {"ioUring", config->io_uring != running->io_uring},
        {"connections", config->limits.connections != running->limits.connections},
    };

    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (fixed[i].changed)
            (void)!buf_printf(&changed, "%s%s", changed.len ? ", " : "", fixed[i].name);
    }
    if (changed.len > 0) {
        log_event(LOG_WARN, "what changed in the configuration needs a restart",
                  log_text("keys", (struct span){(const char *)changed.data, changed.len}));
        free(config->host);
        config->host = xstrdup(running->host);
        config->port = running->port;
        config->threads = running->threads;
        config->io_uring = running->io_uring;
        config->limits.connections = running->limits.connections;
    }
    buf_fini(&changed);
    project_prepare(project, before);
    return project;
}

struct project *load_nothing(const struct cli *cli, const struct buf *error)
{
    struct buf unsaid = {0}; /* what is wrong with the folder or the configuration is in error already */
    struct config config;

    if (check_folder(cli->directory, &unsaid) != 0) {
        buf_fini(&unsaid);
        return NULL;
    }
    config_init(&config);
    if (load_config(&config, cli, &unsaid) != 0) { /* it may be half read */
        config_fini(&config);
        config_init(&config);
        apply_flags(&config, cli);
    }
    buf_fini(&unsaid);
    return project_empty(&config, error);
}
