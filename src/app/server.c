#include "app/server.h"

#include "app/worker.h"
#include "base/check.h"
#include "base/log.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct server {
    struct workers workers;
    uv_signal_t signals[3]; /* on the first thread's loop */
    bool stopping;          /* a signal came */
};

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
    log_event(LOG_INFO, "stopping", log_int("connections", (int64_t)server->workers.total.n_conns));
    workers_stop(&server->workers);
}

static void watch_signals(struct server *server)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uv_signal_t *handle = &server->signals[i];
        CHECK(uv_signal_init(&server->workers.items[0].loop.uv, handle) == 0);
        handle->data = server;
        CHECK(uv_signal_start(handle, on_signal, numbers[i]) == 0);
        uv_unref((uv_handle_t *)handle);
    }
}

static void unwatch_signals(struct server *server)
{
    for (size_t i = 0; i < sizeof server->signals / sizeof *server->signals; i++)
        uv_close((uv_handle_t *)&server->signals[i], NULL);
}

static void say_where(const struct workers *workers)
{
    const struct config *config = workers->config;
    const struct project *project = workers->project;
    const char *v6 = strchr(config->host, ':') ? "[" : "";
    char url[512];

    snprintf(url, sizeof url, "http://%s%s%s:%d", v6, config->host, *v6 ? "]" : "",
             listener_port(workers->items[0].listener));
    log_event(LOG_INFO, "listening", log_str("url", url), log_int("parties", (int64_t)project->n_parties),
              log_int("threads", workers->count),
              log_int("connections", (int64_t)config->limits.connections));
    for (size_t i = 0; i < project->n_parties; i++) {
        char room[1024];
        snprintf(room, sizeof room, "%s/parties/%s/:room", url, project->parties[i]->name);
        log_event(LOG_INFO, "party", log_str("party", project->parties[i]->name), log_str("url", room));
    }
}

int server_run(struct project *project, const struct config *config)
{
    struct server server = {0};
    int exit_code = 1;

    if (workers_init(&server.workers, project, config) == 0 && workers_listen(&server.workers) == 0) {
        watch_signals(&server);
        say_where(&server.workers);
        workers_run(&server.workers);
        unwatch_signals(&server);
        log_line(LOG_INFO, "stopped", NULL, 0);
        exit_code = 0;
    }
    workers_fini(&server.workers);
    return exit_code;
}
