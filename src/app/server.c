#include "app/server.h"

#include "base/check.h"
#include "base/log.h"
#include "edge/edge.h"
#include "loop/timer.h"
#include "net/listener.h"
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
    const struct config *config;
    struct project *project;
    struct loop loop;
    struct counters counters;
    struct net net;
    struct script script;
    struct rooms rooms;
    struct edge edge;
    struct listener *listener;
    uv_signal_t signals[3];
    struct loop_hook watch; /* waits for the last connection while the server stops */
    struct timer deadline;  /* of the connections' end */
    bool stopping;          /* a signal came */
    bool closing;           /* the rooms are gone; connections are being closed */
};

/* ---- stopping ---- */

static bool watch_connections(struct loop_hook *hook)
{
    struct server *server = container_of(hook, struct server, watch);
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

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;

    if (number == SIGHUP) {
        log_line(LOG_WARN, "SIGHUP: this version can't reload; restart the server", NULL, 0);
        return;
    }
    if (server->stopping) {
        log_line(LOG_WARN, "stopped at once by a second signal", NULL, 0);
        log_fini();
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

/* ---- starting ---- */

static void on_accept(void *user, struct conn *conn, bool full)
{
    struct server *server = user;
    edge_accept(&server->edge, conn, full);
}

static struct party *find_party(void *user, struct span name)
{
    struct server *server = user;
    return project_party(server->project, name);
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

static void say_where(const struct server *server)
{
    const struct config *config = server->config;
    const char *v6 = strchr(config->host, ':') ? "[" : "";
    char url[512];

    snprintf(url, sizeof url, "http://%s%s%s:%d", v6, config->host, *v6 ? "]" : "",
             listener_port(server->listener));
    log_event(LOG_INFO, "listening", log_str("url", url),
              log_int("parties", (int64_t)server->project->n_parties),
              log_int("connections", (int64_t)config->limits.connections));
    for (size_t i = 0; i < server->project->n_parties; i++) {
        char room[1024];
        snprintf(room, sizeof room, "%s/parties/%s/:room", url, server->project->parties[i]->name);
        log_event(LOG_INFO, "party", log_str("party", server->project->parties[i]->name),
                  log_str("url", room));
    }
}

int server_run(struct project *project, const struct config *config)
{
    struct server server = {.config = config, .project = project};
    const struct limits *limits = &config->limits;
    const struct room_limits room_limits = {.events = limits->events,
                                            .handlers = limits->handlers,
                                            .connections = limits->connections_per_room,
                                            .idle_ms = limits->idle_room,
                                            .output = limits->room_memory};
    int exit_code = 1;

    if (loop_init(&server.loop) != 0) {
        fputs("festa: the event loop can't be made\n", stderr);
        return 1;
    }
    net_init(&server.net, &server.loop, &server.counters, (size_t)limits->queue, LINGER_MS);
    if (script_init(&server.script, project, config, &server.loop, &server.counters) != 0) {
        fputs("festa: not enough memory\n", stderr);
        goto net;
    }
    rooms_init(&server.rooms, &server.loop, &script_ops, &server.script, &room_limits, &server.counters);
    edge_init(&server.edge, &server.net, &server.rooms, config, &server.counters, find_party, &server);
    server.watch.fn = watch_connections;
    server.deadline.fn = on_deadline;
    loop_hook_add(&server.loop.work, &server.watch);

    if (listen_on(&server) == 0) {
        watch_signals(&server);
        say_where(&server);
        loop_run(&server.loop);
        log_line(LOG_INFO, "stopped", NULL, 0);
        for (size_t i = 0; i < sizeof server.signals / sizeof *server.signals; i++)
            uv_close((uv_handle_t *)&server.signals[i], NULL);
        exit_code = 0;
    }
    timer_stop(&server.deadline);
    loop_hook_remove(&server.watch);
    edge_fini(&server.edge);
    rooms_fini(&server.rooms);
    script_fini(&server.script);
net:
    ws_thread_fini();
    net_fini(&server.net);
    loop_fini(&server.loop);
    return exit_code;
}
