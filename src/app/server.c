#include "app/server.h"

#include "app/load.h"
#include "app/terminal.h"
#include "app/watch.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "edge/edge.h"
#include "loop/timer.h"
#include "net/listener.h"
#include "script/problem.h"
#include "script/script.h"
#include "ws/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* How long the peer's FIN is awaited after ours. */
#define LINGER_MS 2000u

/* One loop thread with all that lives on it. */
struct server {
    const struct cli *cli;
    struct project *project;     /* a reference: the version that is served */
    const struct config *config; /* its */
    struct loop loop;
    struct counters counters;
    struct net net;
    struct script script;
    struct rooms rooms;
    struct edge edge;
    struct listener *listener;
    uv_signal_t signals[3];
    struct watch *watch; /* of festa dev, as is the next */
    struct terminal *terminal;
    struct http_problem *broken; /* why the project has never been loaded; NULL once it was */
    bool failed;                 /* what is on disk did not load */
    struct loop_hook last_conn;  /* waits for the last connection while the server stops */
    struct timer deadline;       /* of the connections' end */
    bool stopping;               /* a signal came */
    bool closing;                /* the rooms are gone; connections are being closed */
};

/* ---- stopping ---- */

static bool watch_connections(struct loop_hook *hook)
{
    struct server *server = container_of(hook, struct server, last_conn);
    if (server->closing && server->net.n_conns == 0)
        loop_stop(&server->loop);
    return false;
}

static void on_deadline(struct timer *timer)
{
    edge_reset_all(&container_of(timer, struct server, deadline)->edge);
}

static void on_rooms_empty(void *user)
{
    struct server *server = user;
    server->closing = true;
    edge_stop_sockets(&server->edge);
    timer_start(&server->loop, &server->deadline, server->config->limits.close_timeout + LINGER_MS);
    loop_keep_turning(&server->loop);
}

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
    log_event(LOG_INFO, "stopping", log_int("rooms", (int64_t)server->rooms.n_rooms),
              log_int("connections", (int64_t)server->net.n_conns));
    listener_close(server->listener);
    server->listener = NULL;
    edge_stop_http(&server->edge);
    rooms_stop(&server->rooms, server->config->limits.stop_timeout, on_rooms_empty, server);
}

/* ---- reloading ---- */

static struct room_limits room_limits_of(const struct limits *limits)
{
    return (struct room_limits){.events = limits->events,
                                .handlers = limits->handlers,
                                .idle_ms = limits->idle_room,
                                .output = limits->room_memory};
}

/* Another version of the project counts for all that comes from here on. */
static void adopt(struct server *server, struct project *project)
{
    struct project *before = server->project;
    struct room_limits limits = room_limits_of(&project->config.limits);

    server->project = project_ref(project);
    server->config = &project->config;
    script_adopt(&server->script, project);
    edge_adopt(&server->edge, server->config, server->broken);
    rooms_reload(&server->rooms, &limits, script_find_party, &server->script);
    project_unref(before);
}

static void say_new_parties(const struct server *server, const struct project *before);

/* Reads the project again. One that does not load changes nothing. */
static void server_reload(void *user)
{
    struct server *server = user;
    uint64_t began = clock_monotonic_ns();
    struct buf error = {0};

    if (server->stopping)
        return;
    struct project *before = project_ref(server->project);
    struct project *project = load_again(server->cli, server->config, &error);
    struct http_problem *broken = server->broken;
    if (project) {
        server->counters.reloads++;
        server->broken = NULL;
        adopt(server, project);
        log_event(LOG_INFO, server->failed ? "mended and reloaded" : "reloaded",
                  log_int("parties", (int64_t)project->n_parties),
                  log_int("rooms", (int64_t)server->rooms.n_rooms),
                  log_real("ms", (double)((clock_monotonic_ns() - began) / 1000) / 1000.0));
        say_new_parties(server, before);
        http_problem_free(broken);
    } else {
        struct span text = {(const char *)error.data, error.len};
        server->counters.reloads_failed++;
        log_event(LOG_ERROR, "the project could not be loaded again; the version before goes on",
                  log_text("error", text));
        if (broken) {
            server->broken = problem_loading(text);
            edge_adopt(&server->edge, server->config, server->broken);
            http_problem_free(broken);
        }
    }
    server->failed = !project;
    project_unref(project);
    project_unref(before);
    buf_fini(&error);
}

static void on_signal(uv_signal_t *handle, int number)
{
    if (number == SIGHUP)
        server_reload(handle->data);
    else
        stop(handle->data);
}

/* ---- starting ---- */

static void on_accept(void *user, struct conn *conn, bool full)
{
    struct server *server = user;
    edge_accept(&server->edge, conn, full);
}

static int listen_on(struct server *server)
{
    static const struct listener_ops ops = {.on_accept = on_accept};
    const struct config *config = server->config;
    int error = 0;

    server->listener = listener_open(&server->net, config->host, config->port, -1, config->limits.connections,
                                     &ops, server, &error);
    if (server->listener)
        return 0;
    if (error == -EADDRINUSE)
        fprintf(stderr, "festa: port %d of %s is in use by another program (choose one with --port)\n",
                config->port, config->host);
    else if (error == -EACCES)
        fprintf(stderr, "festa: no permission to listen on port %d of %s\n", config->port, config->host);
    else
        fprintf(stderr, "festa: can't listen on %s, port %d: %s\n", config->host, config->port,
                uv_strerror(error));
    return error;
}

/* A SIGHUP that comes now, as when a terminal is closed, is not to end what ends by itself. */
static void forget_signals(struct server *server)
{
    sigset_t late;

    sigemptyset(&late);
    sigaddset(&late, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &late, NULL);
    for (size_t i = 0; i < sizeof server->signals / sizeof *server->signals; i++)
        uv_close((uv_handle_t *)&server->signals[i], NULL);
}

static void watch_signals(struct server *server)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uv_signal_t *handle = &server->signals[i];
        CHECK(uv_signal_init(&server->loop.uv, handle) == 0);
        handle->data = server;
        CHECK(uv_signal_start(handle, on_signal, numbers[i]) == 0);
        uv_unref((uv_handle_t *)handle);
    }
}

/* A line for each party that was not there before (may be NULL). */
static void say_new_parties(const struct server *server, const struct project *before)
{
    for (size_t i = 0; i < server->project->n_parties; i++) {
        const char *name = server->project->parties[i]->name;
        char url[512], room[1024];
        if (before && project_party(before, span_of(name)))
            continue;
        terminal_url(url, server->config->host, listener_port(server->listener));
        snprintf(room, sizeof room, "%s/parties/%s/:room", url, name);
        log_event(LOG_INFO, "party", log_str("party", name), log_str("url", room));
    }
}

static void say_where(const struct server *server)
{
    char url[512];

    terminal_url(url, server->config->host, listener_port(server->listener));
    log_event(LOG_INFO, "listening", log_str("url", url),
              log_int("parties", (int64_t)server->project->n_parties),
              log_int("connections", (int64_t)server->config->limits.connections));
    say_new_parties(server, NULL);
}

/* What festa dev has besides. */
static void begin_dev(struct server *server, const struct buf *error)
{
    static const struct terminal_ops ops = {.reload = server_reload, .quit = stop};
    const struct cli *cli = server->cli;

    server->watch = watch_open(&server->loop, cli->directory, cli->config_path, server_reload, server);
    if (error) {
        struct span text = {(const char *)error->data, error->len};
        server->failed = true;
        server->broken = problem_loading(text);
        edge_adopt(&server->edge, server->config, server->broken);
        log_event(LOG_ERROR, "the project can't be loaded; it will be when it is mended",
                  log_text("error", text));
    }
    server->terminal =
        terminal_open(&server->loop, server->config->host, listener_port(server->listener), &ops, server);
}

int server_run(struct project *project, const struct cli *cli, const struct buf *error)
{
    struct server server = {.cli = cli, .project = project_ref(project), .config = &project->config};
    struct room_limits room_limits = room_limits_of(&server.config->limits);
    int exit_code = 1;

    if (loop_init(&server.loop) != 0) {
        fputs("festa: the event loop can't be made\n", stderr);
        goto project;
    }
    net_init(&server.net, &server.loop, &server.counters, (size_t)server.config->limits.queue, LINGER_MS);
    if (script_init(&server.script, project, &server.loop, &server.counters) != 0) {
        fputs("festa: not enough memory\n", stderr);
        goto net;
    }
    rooms_init(&server.rooms, &server.loop, &script_ops, &server.script, &room_limits, &server.counters);
    edge_init(&server.edge, &server.net, &server.rooms, server.config, &server.counters, script_find_party,
              &server.script);
    server.last_conn.fn = watch_connections;
    server.deadline.fn = on_deadline;
    loop_hook_add(&server.loop.work, &server.last_conn);

    if (listen_on(&server) == 0) {
        watch_signals(&server);
        if (cli->command == COMMAND_DEV)
            begin_dev(&server, error);
        say_where(&server);
        loop_run(&server.loop);
        log_line(LOG_INFO, "stopped", NULL, 0);
        watch_close(server.watch);
        terminal_close(server.terminal);
        forget_signals(&server);
        exit_code = 0;
    }
    timer_stop(&server.deadline);
    loop_hook_remove(&server.last_conn);
    edge_fini(&server.edge);
    rooms_fini(&server.rooms);
    script_fini(&server.script);
net:
    ws_thread_fini();
    net_fini(&server.net);
    loop_fini(&server.loop);
project:
    http_problem_free(server.broken);
    project_unref(server.project);
    return exit_code;
}
