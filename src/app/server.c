#include "app/server.h"

#include "app/certificates.h"
#include "app/control_server.h"
#include "app/load.h"
#include "app/terminal.h"
#include "app/watch.h"
#include "app/worker.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/job.h"
#include "store/sqlite.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Reading the project again: it is done by a thread of libuv's pool, since compiling and checking parties takes as long
 * as they like to (up to bounds for each), and rooms go on. */
struct reload {
    struct job job;
    bool running;           /* the job is */
    bool again;             /* something may have changed since it began: once more behind it */
    uint64_t began;         /* ns */
    struct project *before; /* a reference: what was served when it began */
    struct project *loaded; /* the job's; a reference, or NULL, and */
    struct buf error;       /* what is wrong with what is on disk */
};

/* All of this is of the first thread, but what a job is given. */
struct server {
    const struct cli *cli;
    struct project *project; /* a reference: the version that is served */
    struct workers workers;
    struct tls_server *tls; /* a reference; NULL: connections are plain */
    uv_signal_t signals[3];
    struct control_server *control; /* NULL: operators' commands do not reach it */
    struct watch *watch;            /* of festa dev, as is the next */
    struct terminal *terminal;
    struct reload reload;
    bool failed;   /* what is on disk did not load */
    bool stopping; /* a signal came */
};

/* Blocks of this size have pages of their own, which go back when they are freed; of smaller ones so much is kept. */
#define OWN_PAGES (4 * 1024 * 1024)
#define KEPT_FREE (8 * 1024 * 1024)

/* glibc by itself gives the heap's end back when it is twice as long as the largest block so far, and takes it again
 * page by page: with messages of a megabyte that was most of the work. */
static void keep_freed_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, OWN_PAGES);
    mallopt(M_TRIM_THRESHOLD, KEPT_FREE);
#endif
}

static struct loop *loop_of(struct server *server)
{
    return &server->workers.items[0].loop;
}

/* ---- stopping ---- */

/* Begins to stop; the second time it ends the process. */
static void stop(void *user)
{
    struct server *server = user;

    if (server->stopping) {
        log_line(LOG_WARN, "stopped at once by a second signal", NULL, 0);
        log_fini();
        terminal_restore();
        _exit(1);
    }
    server->stopping = true;
    log_event(LOG_INFO, "stopping", log_int("connections", (int64_t)server->workers.total.n_conns));
    control_server_stop(server->control);
    workers_stop(&server->workers);
}

/* ---- saying where ---- */

/* Where it serves. Who listens on all addresses may have written so in many ways, of which a URL knows one. */
static void write_url(const struct server *server, char out[512])
{
    char address[INET6_ADDRSTRLEN];

    workers_address(&server->workers, address);
    bool all = strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
    terminal_url(out, server->tls != NULL, all ? address : server->project->config.host,
                 workers_port(&server->workers));
}

/* A line for each party that was not there before (may be NULL). */
static void say_new_parties(const struct server *server, const struct project *before)
{
    char url[512];

    write_url(server, url);
    for (size_t i = 0; i < server->project->n_parties; i++) {
        struct span name = span_of(server->project->parties[i]->name);
        char room[1024];
        if (before && project_party(before, name))
            continue;
        snprintf(room, sizeof room, "%s/parties/%.*s/:room", url, (int)name.len, name.ptr);
        log_event(LOG_INFO, "party", log_text("party", name), log_str("url", room));
    }
}

static void say_where(const struct server *server)
{
    const struct config *config = &server->project->config;
    char url[512];

    write_url(server, url);
    log_event(LOG_INFO, "listening", log_str("url", url),
              log_int("parties", (int64_t)server->project->n_parties),
              log_int("threads", server->workers.count),
              log_int("connections", (int64_t)config->limits.connections));
    say_new_parties(server, NULL);
}

/* ---- certificates ---- */

/* Reads them, again when some are served already; those stay when it fails, or when TLS is on or off now, which needs
 * a restart. */
static int load_certificates(struct server *server, const struct project *project, bool again,
                             struct buf *error)
{
    struct buf warnings = {0};
    struct tls_server *tls;

    if (again && (project->config.tls_certs.count > 0) != (server->tls != NULL))
        return 0;
    int rc = certificates_open(server->cli->directory, &project->config, &tls, error, &warnings);
    if (warnings.len > 0)
        log_event(LOG_WARN, "a certificate is strange",
                  log_text("what", (struct span){(const char *)warnings.data, warnings.len}));
    buf_fini(&warnings);
    if (rc != 0)
        return rc;
    tls_server_unref(server->tls);
    server->tls = tls;
    return 0;
}

/* ---- reloading ---- */

static void adopt(struct server *server, struct project *project)
{
    project_unref(server->project);
    server->project = project_ref(project);
    workers_adopt(&server->workers, project, server->tls);
}

/* What is on disk does not load: the version before goes on. If there never was one, clients are told why. */
static void reload_failed(struct server *server, const struct buf *error)
{
    workers_counters(&server->workers)->reloads_failed++;
    server->failed = true;
    log_event(LOG_ERROR, "the project could not be loaded again; the version before goes on",
              log_text("error", (struct span){(const char *)error->data, error->len}));
    if (!server->project->broken)
        return;
    struct project *nothing = load_nothing(server->cli, error);
    if (nothing)
        adopt(server, nothing);
    project_unref(nothing);
}

/* On the pool. */
static void load(struct job *job)
{
    struct server *server = container_of(job, struct server, reload.job);
    struct reload *reload = &server->reload;
    reload->loaded = load_again(server->cli, reload->before, &reload->error);
}

static void take_over(struct server *server, struct project *project)
{
    int64_t us = (int64_t)((clock_monotonic_ns() - server->reload.began) / 1000);

    workers_counters(&server->workers)->reloads++;
    adopt(server, project);
    log_event(LOG_INFO, server->failed ? "mended and reloaded" : "reloaded",
              log_int("parties", (int64_t)project->n_parties), log_real("ms", (double)us / 1000.0));
    say_new_parties(server, server->reload.before);
    server->failed = false;
}

static void reload(void *user);

static void loaded(struct job *job)
{
    struct server *server = container_of(job, struct server, reload.job);
    struct reload *done = &server->reload;
    bool again = done->again;

    if (server->stopping)
        again = false; /* and what was loaded is dropped: the other threads may have ended */
    else if (again && !done->loaded)
        log_line(LOG_DEBUG, "what was read was being changed: it is read again", NULL, 0);
    else if (done->loaded && load_certificates(server, done->loaded, true, &done->error) == 0)
        take_over(server, done->loaded);
    else
        reload_failed(server, &done->error);
    project_unref(done->loaded);
    project_unref(done->before);
    buf_fini(&done->error);
    *done = (struct reload){0};
    if (again)
        reload(server);
}

/* Reads the project again, and takes it over when it is read. */
static void reload(void *user)
{
    struct server *server = user;
    struct reload *reload = &server->reload;

    if (server->stopping)
        return;
    if (reload->running) {
        reload->again = true;
        return;
    }
    *reload = (struct reload){.job = {.run = load, .done = loaded},
                              .running = true,
                              .began = clock_monotonic_ns(),
                              .before = project_ref(server->project)};
    job_start(loop_of(server), &reload->job);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    if (number == SIGHUP)
        reload(handle->data);
    else
        stop(handle->data);
}

/* On this thread, and on those that it starts. */
static void hold_reload(int how)
{
    sigset_t reload;

    sigemptyset(&reload);
    sigaddset(&reload, SIGHUP);
    pthread_sigmask(how, &reload, NULL);
}

void server_hold_reload(void)
{
    hold_reload(SIG_BLOCK);
}

static void watch_signals(struct server *server)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uv_signal_t *handle = &server->signals[i];
        CHECK(uv_signal_init(&loop_of(server)->uv, handle) == 0);
        handle->data = server;
        CHECK(uv_signal_start(handle, on_signal, numbers[i]) == 0);
        uv_unref((uv_handle_t *)handle);
    }
    hold_reload(SIG_UNBLOCK);
}

/* A SIGHUP that comes now, as when a terminal is closed, is not to end what ends by itself. */
static void unwatch_signals(struct server *server)
{
    hold_reload(SIG_BLOCK);
    for (size_t i = 0; i < sizeof server->signals / sizeof *server->signals; i++)
        uv_close((uv_handle_t *)&server->signals[i], NULL);
    signal(SIGHUP, SIG_IGN); /* on the pool's threads too */
}

/* ---- serving ---- */

static void say_broken(const struct http_problem *problem)
{
    struct buf text = {0};

    if (problem->file)
        (void)!buf_printf(&text, "%s:%d: ", problem->file, problem->line);
    (void)!buf_printf(&text, "%s\n%s", problem->message ? problem->message : "",
                      problem->source ? problem->source : "");
    log_event(LOG_ERROR, "the project can't be loaded; it will be when it is mended",
              log_text("error", (struct span){(const char *)text.data, text.len}));
    buf_fini(&text);
}

/* What festa dev has besides. */
static void begin_dev(struct server *server)
{
    static const struct terminal_ops ops = {.reload = reload, .quit = stop};
    const struct cli *cli = server->cli;
    char address[INET6_ADDRSTRLEN];

    workers_address(&server->workers, address);
    server->watch = watch_open(loop_of(server), cli->directory, cli->config_path, reload, server);
    server->failed = server->project->broken != NULL;
    if (server->failed)
        say_broken(server->project->broken);
    server->terminal = terminal_open(loop_of(server), server->tls != NULL, server->project->config.host,
                                     address, workers_port(&server->workers), &ops, server);
}

static void serve(struct server *server)
{
    watch_signals(server);
    if (server->cli->command == COMMAND_DEV)
        begin_dev(server);
    say_where(server);
    workers_run(&server->workers);
    log_line(LOG_INFO, "stopped", NULL, 0);
    control_server_close(server->control);
    watch_close(server->watch);
    terminal_close(server->terminal);
    unwatch_signals(server);
}

/* The data folder. A project that can't have one, since nothing can be made where it lies, is served without. */
static int open_store(const struct cli *cli, const struct config *config, struct store **store)
{
    char path[PATH_MAX], absolute[PATH_MAX];
    struct buf error = {0};

    int rc = cli_data_folder(cli, path);
    if (rc == 0 && cli_absolute(path, absolute) == 0) /* who reads a message may be elsewhere */
        memcpy(path, absolute, sizeof path);
    if (rc == 0)
        rc = store_open_sqlite(path, (unsigned)config->storage_files, false, &error, store);
    if (rc == 0 && store_sqlite_files(*store) != (unsigned)config->storage_files)
        log_event(LOG_WARN, "the data folder keeps the number of files that it was made with",
                  log_int("files", store_sqlite_files(*store)),
                  log_int("storageFiles", config->storage_files), log_str("folder", path));
    if ((rc == -EROFS || rc == -EACCES) && !cli->data && access(path, F_OK) != 0) {
        log_event(LOG_WARN, "rooms can't store anything: choose a folder with --data",
                  log_text("error", (struct span){(const char *)error.data, error.len}));
        rc = 0;
    } else if (rc != 0 && error.len > 0) {
        fprintf(stderr, "festa: %.*s\n", (int)error.len, (const char *)error.data);
    }
    buf_fini(&error);
    return rc;
}

/* Operators' commands reach the server by its data folder. */
static void open_control(struct server *server, struct store *store)
{
    char path[PATH_MAX];

    if (store && cli_data_folder(server->cli, path) == 0)
        server->control = control_server_open(path, store, &server->workers);
}

int server_run(struct project *project, const struct cli *cli)
{
    struct server server = {.cli = cli, .project = project_ref(project)};
    struct store *store = NULL;
    struct buf error = {0};
    int exit_code = 1;

    keep_freed_memory();
    if (load_certificates(&server, project, false, &error) != 0)
        fprintf(stderr, "festa: %.*s\n", (int)error.len, (const char *)error.data);
    else if (open_store(cli, &project->config, &store) == 0 &&
             workers_init(&server.workers, project, store, server.tls) == 0 &&
             workers_listen(&server.workers, &project->config) == 0) {
        open_control(&server, store);
        serve(&server);
        exit_code = 0;
    }
    workers_fini(&server.workers);
    store_close(store);
    project_unref(server.project);
    tls_server_unref(server.tls);
    buf_fini(&error);
    return exit_code;
}
