#include "app/worker.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "ws/session.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How long the peer's FIN is awaited after ours. */
#define LINGER_MS 2000u

#define THREADS_MAX 1024

/* ---- stopping ---- */

static void on_finish(struct loop_message *message)
{
    struct worker *worker = container_of(message, struct worker, finish);
    loop_release(&worker->loop);
    loop_stop(&worker->loop);
}

/* The server stops: is this the end? All threads' rooms are gone, no connection is open, none is on its way
 * from one thread to another, and no answer either. */
static bool watch_end(struct loop_hook *hook)
{
    struct worker *worker = container_of(hook, struct worker, watch);
    struct workers *all = worker->all;

    if (!all->closing || all->total.n_conns > 0 || all->team.away > 0 || all->rooms_team.away > 0)
        return false;
    if (atomic_exchange(&all->finished, true))
        return false;
    for (unsigned i = 0; i < all->count; i++)
        loop_post(&all->items[i].loop, &all->items[i].finish);
    return false;
}

/* The time for connections to end in order is over. */
static void on_deadline(struct timer *timer)
{
    edge_reset_all(&container_of(timer, struct worker, deadline)->edge);
}

/* No thread has rooms any more, so no connection waits for an answer: each has its time to end in order. */
static void on_closed(struct loop_message *message)
{
    struct worker *worker = container_of(message, struct worker, closed);
    timer_start(&worker->loop, &worker->deadline, worker->edge.config->limits.close_timeout + LINGER_MS);
}

static void on_rooms_empty(void *user)
{
    struct worker *worker = user;
    struct workers *all = worker->all;

    edge_stop_sockets(&worker->edge);
    if (atomic_fetch_add(&all->n_empty, 1) + 1 < all->count)
        return;
    for (unsigned i = 0; i < all->count; i++)
        loop_post(&all->items[i].loop, &all->items[i].closed);
    all->closing = true; /* behind these, since the loops may end from here on */
    loop_keep_turning(&worker->loop);
}

static void on_stop(struct loop_message *message)
{
    struct worker *worker = container_of(message, struct worker, stop);

    listener_close(worker->listener);
    worker->listener = NULL;
    edge_stop_http(&worker->edge);
    crons_stop(&worker->crons);
    rooms_stop(&worker->rooms, worker->edge.config->limits.stop_timeout, on_rooms_empty, worker);
}

void workers_stop(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++)
        loop_post(&workers->items[i].loop, &workers->items[i].stop);
}

/* ---- another version of the project ---- */

static struct room_limits room_limits_of(const struct limits *limits)
{
    return (struct room_limits){.events = limits->events,
                                .handlers = limits->handlers,
                                .connections = limits->connections_per_room,
                                .idle_ms = limits->idle_room,
                                .output = limits->room_memory,
                                .inbox = limits->room_memory,
                                .queue = limits->queue,
                                .call_ms = limits->call_timeout,
                                .ping_ms = limits->ping_interval};
}

static void serve_files(struct worker *worker, const struct project *project)
{
    if (edge_serve(&worker->edge, project->public_fd) != 0)
        log_line(LOG_ERROR, "no static files are served: there is no memory or no descriptor", NULL, 0);
}

struct adoption {
    struct loop_message message;
    struct worker *worker;
    struct project *project; /* a reference, as is the next */
    struct tls_server *tls;
};

static void on_adopt(struct loop_message *message)
{
    struct adoption *adoption = container_of(message, struct adoption, message);
    struct worker *worker = adoption->worker;
    struct project *project = adoption->project;
    struct room_limits limits = room_limits_of(&project->config.limits);
    struct project *before = project_ref(worker->script.project); /* while edge has its configuration */

    script_adopt(&worker->script, project);
    edge_adopt(&worker->edge, &project->config, project->broken);
    serve_files(worker, project);
    rooms_reload(&worker->rooms, &limits, script_find_party, &worker->script);
    if (worker->crons.rooms && !worker->rooms.stopping)
        crons_adopt(&worker->crons, &project->config);
    net_set_tls(&worker->net, adoption->tls);
    tls_server_unref(adoption->tls);
    project_unref(before);
    project_unref(project);
    free(adoption);
}

void workers_adopt(struct workers *workers, struct project *project, struct tls_server *tls)
{
    for (unsigned i = 0; i < workers->count; i++) {
        struct adoption *adoption = xcalloc(sizeof *adoption);
        *adoption = (struct adoption){.message = {.fn = on_adopt},
                                      .worker = &workers->items[i],
                                      .project = project_ref(project),
                                      .tls = tls_server_ref(tls)};
        loop_post(&workers->items[i].loop, &adoption->message);
    }
}

struct counters *workers_counters(struct workers *workers)
{
    return &workers->items[0].counters;
}

/* ---- one thread ---- */

/* What somebody is told who speaks HTTP where TLS is spoken. */
static const char plain_answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                   "Content-Type: text/plain;charset=UTF-8\r\n"
                                   "Content-Length: 44\r\n"
                                   "Connection: close\r\n\r\n"
                                   "This port speaks TLS: use https:// or wss://";

static int worker_init(struct worker *worker, struct workers *all, struct project *project,
                       struct store *store, struct tls_server *tls, unsigned wanted)
{
    const struct config *config = &project->config;
    const struct room_limits room_limits = room_limits_of(&config->limits);

    int rc = loop_init(&worker->loop);
    if (rc != 0) {
        fprintf(stderr, "festa: the event loop can't be made: %s\n", uv_strerror(rc));
        return rc;
    }
    worker->all = all;
    worker->watch.fn = watch_end;
    worker->deadline.fn = on_deadline;
    worker->stop.fn = on_stop;
    worker->closed.fn = on_closed;
    worker->finish.fn = on_finish;
    net_init(&worker->net, &worker->loop, &worker->counters, (size_t)config->limits.queue, LINGER_MS);
    net_share(&worker->net, &all->total);
    net_set_tls(&worker->net, tls);
    worker->net.plain_answer = (struct span){plain_answer, sizeof plain_answer - 1};
    if (config->io_uring)
        net_use_uring(&worker->net);
    rc = script_init(&worker->script, project, &worker->loop, &worker->counters);
    if (rc != 0) {
        fputs("festa: not enough memory\n", stderr);
        net_fini(&worker->net);
        loop_fini(&worker->loop);
        return rc;
    }
    rooms_init(&worker->rooms, &worker->loop, &script_ops, &worker->script, &room_limits, &worker->counters);
    worker->rooms.store = store;
    worker->rooms.team = &all->rooms_team;
    worker->rooms.share = all->count;
    worker->rooms.shares = wanted;
    edge_init(&worker->edge, &worker->net, &worker->rooms, config, &worker->counters, script_find_party,
              &worker->script);
    edge_adopt(&worker->edge, config, project->broken);
    serve_files(worker, project);
    worker->edge.team = &all->team;
    if (all->count == 0)
        crons_init(&worker->crons, &worker->rooms, loop_wall_ms);
    loop_hook_add(&worker->loop.work, &worker->watch);
    return 0;
}

/* On the thread that ran it, if it ran. */
static void worker_fini(struct worker *worker)
{
    listener_close(worker->listener);
    timer_stop(&worker->deadline);
    loop_hook_remove(&worker->watch);
    edge_fini(&worker->edge);
    crons_fini(&worker->crons);
    rooms_fini(&worker->rooms);
    script_fini(&worker->script);
    ws_thread_fini();
    net_fini(&worker->net);
    loop_fini(&worker->loop);
}

static void *thread_main(void *user)
{
    struct worker *worker = user;
    loop_run(&worker->loop);
    worker_fini(worker);
    return NULL;
}

/* ---- all of them ---- */

static unsigned thread_count(const struct config *config)
{
    cpu_set_t cores;

    if (config->threads > 0)
        return (unsigned)config->threads;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1;
    int count = CPU_COUNT(&cores);
    return count < 1 ? 1 : count > THREADS_MAX ? THREADS_MAX : (unsigned)count;
}

int workers_init(struct workers *workers, struct project *project, struct store *store,
                 struct tls_server *tls)
{
    unsigned wanted = thread_count(&project->config);

    *workers = (struct workers){0};
    workers->items = calloc(wanted, sizeof *workers->items);
    workers->edges = calloc(wanted, sizeof *workers->edges);
    workers->rooms = calloc(wanted, sizeof *workers->rooms);
    CHECK(workers->items && workers->edges && workers->rooms);
    workers->team.edges = workers->edges;
    workers->rooms_team.rooms = workers->rooms;
    while (workers->count < wanted) {
        struct worker *worker = &workers->items[workers->count];
        int rc = worker_init(worker, workers, project, store, tls, wanted);
        if (rc != 0)
            return rc;
        workers->rooms[workers->count] = &worker->rooms;
        workers->edges[workers->count++] = &worker->edge;
    }
    workers->team.count = workers->rooms_team.count = workers->count;
    return 0;
}

static void on_accept(void *user, struct conn *conn, bool full)
{
    struct worker *worker = user;
    edge_accept(&worker->edge, conn, full);
}

static void say_why(const struct config *config, int error)
{
    if (error == -EADDRINUSE)
        fprintf(stderr, "festa: port %d of %s is in use by another program (choose one with --port)\n",
                config->port, config->host);
    else if (error == -EACCES)
        fprintf(stderr, "festa: no permission to listen on port %d of %s\n", config->port, config->host);
    else if (error == UV_EAI_NONAME)
        fprintf(stderr,
                "festa: \"%s\" is no address and no name of a host (IPv6 goes without brackets, the port "
                "with --port)\n",
                config->host);
    else
        fprintf(stderr, "festa: can't listen on %s, port %d: %s\n", config->host, config->port,
                uv_strerror(error));
}

int workers_listen(struct workers *workers, const struct config *config)
{
    static const struct listener_ops ops = {.on_accept = on_accept};
    enum listener_share share = workers->count == 1 ? LISTENER_ALONE : LISTENER_FIRST;
    int port = config->port;

    for (unsigned i = 0; i < workers->count; i++) {
        struct worker *worker = &workers->items[i];
        int error = 0;
        worker->listener = listener_open(&worker->net, config->host, port, -1, share,
                                         config->limits.connections, &ops, worker, &error);
        if (!worker->listener) {
            say_why(config, error);
            return error;
        }
        port = listener_port(worker->listener);
        share = LISTENER_FURTHER;
    }
    return 0;
}

int workers_port(const struct workers *workers)
{
    return listener_port(workers->items[0].listener);
}

void workers_address(const struct workers *workers, char out[INET6_ADDRSTRLEN])
{
    listener_address(workers->items[0].listener, out);
}

void workers_run(struct workers *workers)
{
    for (unsigned i = 0; i < workers->count; i++) {
        loop_hold(&workers->items[i].loop); /* until on_finish: others may send it something */
        alarms_begin(&workers->items[i].rooms.alarms);
    }
    crons_adopt(&workers->items[0].crons, workers->items[0].edge.config);
    for (unsigned i = 1; i < workers->count; i++) {
        int rc = pthread_create(&workers->items[i].thread, NULL, thread_main, &workers->items[i]);
        if (rc != 0) {
            fprintf(stderr, "festa: can't start thread %u of %u: %s\n", i + 1, workers->count,
                    uv_strerror(-rc));
            _exit(1); /* the others run already, and serve nobody yet that would miss them */
        }
    }
    loop_run(&workers->items[0].loop);
    for (unsigned i = 1; i < workers->count; i++)
        pthread_join(workers->items[i].thread, NULL);
    workers->count = 1; /* the others have ended themselves */
}

void workers_fini(struct workers *workers)
{
    while (workers->count > 0)
        worker_fini(&workers->items[--workers->count]);
    free(workers->items);
    free(workers->edges);
    free(workers->rooms);
    *workers = (struct workers){0};
}
