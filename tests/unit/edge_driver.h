/* For the tests of edge: the real loop, net and rooms, a script in C that does what the test says,
 * and clients' sockets that never block. All on one thread: WAIT turns the loop until something is true.
 *
 * Requests are answered with "METHOD subpath body" unless the test's handler does something else. What
 * the script is told goes to world->log, which said() compares. world_close fails on whatever is left. */
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "edge/edge.h"
#include "edge/http_conn.h"
#include "edge/ws_socket.h"
#include "net/listener.h"
#include "room/hook.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST_SECONDS 60

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

struct party {
    const char *name;
    enum duplicate_id duplicate;
    int refs; /* of rooms */
};

/* What a handler does. WAIT: it goes on when the test calls wake(). */
enum act { ACT_DONE, ACT_WAIT, ACT_FAIL };

struct world {
    struct loop loop;
    struct counters counters;
    struct net net;
    struct rooms rooms;
    struct edge edge;
    struct config config;
    struct listener *listener;
    struct party party;
    struct buf log; /* what the script was told, one line each, "\n" behind each */
    enum act (*handler)(struct world *world, struct room *room, struct event *event); /* NULL: DONE */
    void (*woken)(struct world *world, struct room *room, struct event *event);       /* or NULL */
    struct list tasks; /* of struct task, handlers that wait, the oldest first */
    unsigned n_woken;  /* of them, so far */
    size_t n_vms;
    bool no_vm; /* rooms can't start */
    bool full;  /* the next connections are over the limit */
    bool quiet; /* what the script is told is not logged */
    int sndbuf; /* bytes of the kernel's buffer of the next connections; 0: as it is */
    bool empty; /* rooms_stop is done */
};

struct vm {
    struct world *world;
    struct room *room;
};

struct task {
    struct list link;
    struct vm *vm;
    struct event *event;
};

/* Turns the loop until the condition holds. */
#define WAIT(world, condition)                                                                               \
    do {                                                                                                     \
        uint64_t until_ = clock_monotonic_ns() + TEST_SECONDS * 1000000000ull;                               \
        while (!(condition)) {                                                                               \
            if (clock_monotonic_ns() > until_)                                                               \
                fail_msg("%s:%d: not in time: %s", __FILE__, __LINE__, #condition);                          \
            loop_step(&(world)->loop);                                                                       \
        }                                                                                                    \
    } while (0)

/* ---- the script ---- */

static inline void say(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void say(struct world *world, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!world->quiet) {
        assert_int_equal(buf_vprintf(&world->log, format, args), 0);
        assert_int_equal(buf_append(&world->log, "\n", 1), 0);
    }
    va_end(args);
}

/* Has the script been told this, whole lines, and nothing else? Forgets it then. */
static inline bool said(struct world *world, const char *text)
{
    bool same = span_equal((struct span){(const char *)world->log.data, world->log.len}, span_of(text));
    if (same)
        world->log.len = 0;
    return same;
}
#define WAIT_SAID(world, text)                                                                               \
    do {                                                                                                     \
        uint64_t until_ = clock_monotonic_ns() + TEST_SECONDS * 1000000000ull;                               \
        while (!said(world, text)) {                                                                         \
            if (clock_monotonic_ns() > until_ || (world)->log.len > strlen(text))                            \
                fail_msg("%s:%d: said:\n%.*swanted:\n%s", __FILE__, __LINE__, (int)(world)->log.len,         \
                         (const char *)(world)->log.data, text);                                             \
            loop_step(&(world)->loop);                                                                       \
        }                                                                                                    \
    } while (0)

static inline void say_event(struct world *world, const struct event *event)
{
    const struct http_request *request = event->request;
    const char *id = event->peer ? event->peer->id : "";
    int len = event->len > 100 ? 100 : (int)event->len;
    const char *data = event->len ? (const char *)event->data : "";

    switch ((enum event_kind)event->kind) {
    case EVENT_START: break;
    case EVENT_CONNECT:
        say(world, "connect %s %.*s", id, (int)request->subpath.len, request->subpath.ptr);
        break;
    case EVENT_MESSAGE: say(world, "%s %s %.*s", event->binary ? "binary" : "text", id, len, data); break;
    case EVENT_ERROR: say(world, "error %s %.*s", id, len, data); break;
    case EVENT_CLOSE:
        say(world, "close %s %u%s%.*s %s", id, event->code, len ? " " : "", len, data,
            event->clean ? "clean" : "unclean");
        break;
    case EVENT_REQUEST:
        say(world, "%.*s %.*s", (int)request->method.len, request->method.ptr, (int)request->subpath.len,
            request->subpath.ptr);
        break;
    case EVENT_HOOK:
        say(world, "hook %u %.*s", ((struct hook_call *)event->handle)->kind, (int)request->path.len,
            request->path.ptr);
        break;
    case EVENT_RELOAD:
    case EVENT_ALARM:
    case EVENT_CALL:
    case EVENT_CHANGE:
    case EVENT_STOP:
    case EVENT_TIMER:
    case EVENT_WAKE: break;
    }
}

static inline void respond(struct room *room, struct event *event, struct http_response *response)
{
    room_respond(room, event, response);
}

/* The answer that requests get. */
static inline void respond_usual(struct room *room, struct event *event)
{
    const struct http_request *request = event->request;
    struct buf text = {0};
    assert_int_equal(buf_printf(&text, "%.*s %.*s %.*s", (int)request->method.len, request->method.ptr,
                                (int)request->subpath.len, request->subpath.ptr,
                                request->body ? (int)request->body->len : 0,
                                request->body ? (const char *)request->body->data : ""),
                     0);
    struct http_response *response = http_response_new(200);
    response->body = bytes_copy(text.data, text.len);
    buf_fini(&text);
    respond(room, event, response);
}

/* A body of size times c. */
static inline void respond_sized(struct room *room, struct event *event, char c, size_t size)
{
    struct http_response *response = http_response_new(200);
    response->body = bytes_new(size);
    memset(response->body->data, c, size);
    respond(room, event, response);
}

/* The hook lets the request go on. */
static inline void hook_passes(struct room *room, struct event *event)
{
    struct hook_call *call = event->handle;
    call->verdict = HOOK_PASS;
    call->request = event->request;
    event->request = NULL;
    respond(room, event, NULL);
}

static inline void script_end(struct world *world, struct room *room, struct event *event, enum act act)
{
    (void)world;
    if (event->kind == EVENT_REQUEST && event->exchange && act == ACT_DONE)
        respond_usual(room, event);
    if (event->kind == EVENT_HOOK && event->exchange && act == ACT_DONE)
        hook_passes(room, event);
    room_event_done(room, event, act == ACT_DONE ? OUTCOME_DONE : OUTCOME_FAILED);
}

static inline void *script_open(void *user, struct room *room)
{
    struct world *world = user;
    struct vm *vm = world->no_vm ? NULL : calloc(1, sizeof *vm);
    if (!vm)
        return NULL;
    *vm = (struct vm){world, room};
    world->n_vms++;
    return vm;
}

static inline void script_run(void *instance, struct event *event)
{
    struct vm *vm = instance;
    struct world *world = vm->world;

    if (event->kind == EVENT_WAKE) {
        struct task *task = event->handle;
        struct event *waited = task->event;
        list_remove(&task->link);
        free(task);
        room_wait_end(vm->room);
        world->n_woken++;
        if (world->woken)
            world->woken(world, vm->room, waited);
        script_end(world, vm->room, waited, ACT_DONE);
        return;
    }
    say_event(world, event);
    enum act act = world->handler ? world->handler(world, vm->room, event) : ACT_DONE;
    if (act == ACT_WAIT) {
        struct task *task = calloc(1, sizeof *task);
        *task = (struct task){.vm = vm, .event = event};
        list_push(&world->tasks, &task->link);
        room_wait_begin(vm->room);
        return;
    }
    script_end(world, vm->room, event, act);
}

static inline void script_forget(void *instance, struct peer *peer)
{
    (void)instance;
    (void)peer;
}

static inline void script_close(void *instance)
{
    struct vm *vm = instance;
    list_each_safe(link, &vm->world->tasks) {
        struct task *task = container_of(link, struct task, link);
        if (task->vm != vm)
            continue;
        list_remove(link);
        event_free(task->event);
        free(task);
    }
    vm->world->n_vms--;
    free(vm);
}

static inline struct span script_party_name(const struct party *party)
{
    return span_of(party->name);
}

static inline struct party *script_party_ref(struct party *party)
{
    party->refs++;
    return party;
}

static inline void script_party_unref(struct party *party)
{
    assert_true(party->refs > 0);
    party->refs--;
}

static inline enum duplicate_id script_duplicate_id(const struct party *party)
{
    return party->duplicate;
}

static inline bool script_hibernates(const struct party *party)
{
    (void)party;
    return false;
}

/* Set for all parties: the test has one world. */
static bool script_hooks[HOOK_KINDS];

static inline bool script_has_hook(const struct party *party, enum hook_kind hook)
{
    (void)party;
    return script_hooks[hook];
}

static const struct script_ops script_ops = {
    .open = script_open,
    .run = script_run,
    .hibernates = script_hibernates,
    .forget = script_forget,
    .close = script_close,
    .party_ref = script_party_ref,
    .party_unref = script_party_unref,
    .party_name = script_party_name,
    .has_hook = script_has_hook,
    .duplicate_id = script_duplicate_id,
};

/* The oldest handler that waits goes on. */
static inline void wake(struct world *world)
{
    assert_false(list_empty(&world->tasks));
    struct task *task = container_of(world->tasks.next, struct task, link);
    room_wake(task->vm->room, task);
    unsigned before = world->n_woken;
    WAIT(world, world->n_woken != before);
}

/* Of requests, those below /w wait. */
static inline enum act wait_for_requests(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    (void)room;
    return event->kind == EVENT_REQUEST && event->request->subpath.ptr[1] == 'w' ? ACT_WAIT : ACT_DONE;
}

static inline int send_text(struct peer *peer, const char *text)
{
    struct bytes *data = bytes_copy(text, strlen(text));
    int rc = room_send(peer, data, false);
    bytes_unref(data);
    return rc;
}

static inline int broadcast_text(struct room *room, const char *text)
{
    struct bytes *data = bytes_copy(text, strlen(text));
    int rc = room_broadcast(room, data, false, NULL, 0);
    bytes_unref(data);
    return rc;
}

/* ---- the server ---- */

static inline struct party *world_find_party(void *user, struct span name)
{
    struct world *world = user;
    return span_equal(name, SPAN("main")) || span_equal(name, SPAN("chat")) ? &world->party : NULL;
}

static inline void world_on_accept(void *user, struct conn *conn, bool full)
{
    struct world *world = user;
    if (world->sndbuf)
        assert_int_equal(setsockopt(conn->fd, SOL_SOCKET, SO_SNDBUF, &world->sndbuf, sizeof world->sndbuf),
                         0);
    edge_accept(&world->edge, conn, full || world->full);
}

/* With all limits as usual; the test changes them in world->config before world_open. */
static inline struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    config_init(&world->config);
    list_init(&world->tasks);
    world->party.name = "main";
    memset(script_hooks, 0, sizeof script_hooks);
    return world;
}

static inline void world_open(struct world *world)
{
    static const struct listener_ops ops = {.on_accept = world_on_accept};
    const struct limits *limits = &world->config.limits;
    const struct room_limits room_limits = {.events = limits->events,
                                            .handlers = limits->handlers,
                                            .connections = limits->connections_per_room,
                                            .idle_ms = limits->idle_room,
                                            .output = limits->room_memory,
                                            .inbox = limits->room_memory};
    int error = 0;

    assert_int_equal(loop_init(&world->loop), 0);
    net_init(&world->net, &world->loop, &world->counters, (size_t)limits->queue, 200);
    rooms_init(&world->rooms, &world->loop, &script_ops, world, &room_limits, &world->counters);
    edge_init(&world->edge, &world->net, &world->rooms, &world->config, &world->counters, world_find_party,
              world);
    world->listener =
        listener_open(&world->net, "127.0.0.1", 0, -1, LISTENER_ALONE, 1000, &ops, world, &error);
    assert_non_null(world->listener);
}

/* All clients must have gone, or be about to. */
static inline void world_close(struct world *world)
{
    listener_close(world->listener);
    rooms_drop(&world->rooms);
    WAIT(world, world->net.n_conns == 0);
    loop_step(&world->loop);
    assert_int_equal(world->rooms.n_rooms, 0);
    assert_int_equal(world->n_vms, 0);
    assert_true(list_empty(&world->tasks));
    assert_true(list_empty(&world->edge.http_conns));
    assert_true(list_empty(&world->edge.sockets));
    edge_fini(&world->edge);
    rooms_fini(&world->rooms);
    net_fini(&world->net);
    loop_fini(&world->loop);
    config_fini(&world->config);
    buf_fini(&world->log);
    free(world);
}

/* The only room that there is. */
static inline struct room *the_room(struct world *world)
{
    assert_int_equal(world->rooms.n_rooms, 1);
    return container_of(world->rooms.all.next, struct room, in_all);
}

/* The HTTP connection that came last. */
static inline struct http_conn *newest_conn(struct world *world)
{
    assert_false(list_empty(&world->edge.http_conns));
    return container_of(world->edge.http_conns.prev, struct http_conn, link);
}

static inline void world_on_empty(void *user)
{
    ((struct world *)user)->empty = true;
}

/* The log's lines go nowhere: they are written as they are in a server, but no test looks at them. */
static inline int group_setup(void **state)
{
    (void)state;
    return log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_INFO, LOG_JSON);
}

static inline int group_teardown(void **state)
{
    (void)state;
    log_fini();
    return 0;
}

/* ---- clients ---- */

struct client {
    int fd;
    struct buf in; /* what came and was not looked at */
    bool ended;    /* FIN came */
    bool reset;    /* RST came */
};

/* With small, the kernel's buffer on this side is as small as can be. */
static inline struct client client_open(struct world *world, bool small)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)listener_port(world->listener))};
    struct client client = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    int size = 4096;

    assert_true(client.fd >= 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (small)
        assert_int_equal(setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    assert_int_equal(connect(client.fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(client.fd, F_SETFL, O_NONBLOCK), 0);
    return client;
}

/* Its end of the connection goes: by FIN, or by RST when there is something that it did not read. */
static inline void client_close(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    buf_fini(&client->in);
}

static inline void client_reset(struct client *client)
{
    struct linger linger = {1, 0};
    assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    client_close(client);
}

/* Takes what is there, at most max bytes. Returns its argument's state: is there an end? */
static inline bool client_read(struct client *client, size_t max)
{
    while (max > 0 && !client->ended && !client->reset) {
        size_t size = max < 65536 ? max : 65536;
        assert_int_equal(buf_reserve(&client->in, size), 0);
        ssize_t n = recv(client->fd, client->in.data + client->in.len, size, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            client->reset = true;
        else if (n == 0)
            client->ended = true;
        else
            client->in.len += (size_t)n;
        max -= n > 0 ? (size_t)n : 0;
    }
    return client->ended || client->reset;
}

static inline void client_send_bytes(struct world *world, struct client *client, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = send(client->fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            loop_step(&world->loop);
            continue;
        }
        at += n;
        len -= (size_t)n;
    }
}

static inline void client_send(struct world *world, struct client *client, const char *text)
{
    client_send_bytes(world, client, text, strlen(text));
}

/* Turns the loop until so many bytes are there. */
static inline void client_await(struct world *world, struct client *client, size_t len)
{
    WAIT(world, (client_read(client, SIZE_MAX), client->in.len >= len || client->ended || client->reset));
    if (client->in.len < len)
        fail_msg("the connection ended with %zu bytes: %.*s", client->in.len, (int)client->in.len,
                 (const char *)client->in.data);
}

/* The server has ended the connection, and nothing more came. */
static inline void expect_end(struct world *world, struct client *client)
{
    WAIT(world, client_read(client, SIZE_MAX));
    if (client->in.len > 0)
        fail_msg("%zu bytes before the end: %.*s", client->in.len, (int)client->in.len,
                 (const char *)client->in.data);
}

/* ---- answers ---- */

/* The next head, with its blank line and a NUL, until the next call. */
static inline const char *next_head(struct world *world, struct client *client)
{
    static char head[16384];
    const uint8_t *end = NULL;
    size_t len;

    for (;;) {
        end = client->in.len ? memmem(client->in.data, client->in.len, "\r\n\r\n", 4) : NULL;
        if (end)
            break;
        client_await(world, client, client->in.len + 1);
    }
    len = (size_t)(end + 4 - client->in.data);
    assert_true(len < sizeof head);
    memcpy(head, client->in.data, len);
    head[len] = '\0';
    buf_consume(&client->in, len);
    return head;
}

/* Is it the value of the head's field of this name? NULL: there is none. */
static inline bool head_says(const char *head, const char *name, const char *value)
{
    char line[512];
    snprintf(line, sizeof line, "\r\n%s: %s%s", name, value ? value : "", value ? "\r\n" : "");
    return (strcasestr(head, line) != NULL) == (value != NULL);
}

/* The next answer: "STATUS [close|keep-alive ]BODY". Its head stays in *head, if that is wanted. */
static inline void expect_answer_at(struct world *world, struct client *client, const char *want,
                                    bool no_body, const char **kept, const char *file, int line)
{
    const char *head = next_head(world, client);
    struct buf got = {0};
    const char *length = strcasestr(head, "\r\ncontent-length: ");
    size_t len = length && !no_body ? strtoul(length + 18, NULL, 10) : 0;

    assert_memory_equal(head, "HTTP/1.1 ", 9);
    if (head[9] != '1')
        assert_non_null(strstr(head, "\r\nDate: "));
    client_await(world, client, len);
    assert_int_equal(buf_printf(&got, "%.3s %s%s%.*s", head + 9,
                                head_says(head, "Connection", "close") ? "close " : "",
                                head_says(head, "Connection", "keep-alive") ? "keep-alive " : "", (int)len,
                                len ? (const char *)client->in.data : ""),
                     0);
    size_t known = strcspn(want, "*"); /* behind that may be anything */
    if (want[known] ? got.len < known : got.len != known)
        known = 0;
    if (known == 0 || memcmp(got.data, want, known) != 0)
        fail_msg("%s:%d: answered with %.*s\nin place of %s", file, line, (int)got.len,
                 (const char *)got.data, want);
    if (len)
        buf_consume(&client->in, len);
    buf_fini(&got);
    if (kept)
        *kept = head;
}
#define expect_answer(world, client, want)                                                                   \
    expect_answer_at(world, client, want, false, NULL, __FILE__, __LINE__)
#define expect_head_of(world, client, want, head)                                                            \
    expect_answer_at(world, client, want, false, head, __FILE__, __LINE__)
