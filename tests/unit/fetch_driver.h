/* For the tests of fetch: a loop with a fetcher, a server with a thread for each connection, whose answers the path
 * chooses, and a name server that waits when a test wants it to. */
#pragma once

#include "base/check.h"
#include "base/clock.h"
#include "fetch/fetch.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TEST_SECONDS 60

/* Turns the loop until the condition holds. */
#define WAIT(world, condition)                                                                               \
    do {                                                                                                     \
        uint64_t until_ = clock_monotonic_ns() + TEST_SECONDS * (uint64_t)1000 * NS_PER_MS;                  \
        while (!(condition)) {                                                                               \
            assert_true(clock_monotonic_ns() < until_);                                                      \
            loop_step(&(world)->loop);                                                                       \
        }                                                                                                    \
    } while (0)

/* ---- gates that threads wait at ---- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut;
    int waiting;
};

#define GATE_OPEN {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static inline void gate_set(struct gate *gate, bool shut)
{
    pthread_mutex_lock(&gate->lock);
    gate->shut = shut;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static inline void gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    while (gate->shut)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->waiting--;
    pthread_mutex_unlock(&gate->lock);
}

static inline int gate_waiting(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    int waiting = gate->waiting;
    pthread_mutex_unlock(&gate->lock);
    return waiting;
}

/* ---- names ---- */

static struct gate names = GATE_OPEN;

/* In the place of the system's: *.here leads to this machine, *.gone nowhere. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    static _Atomic(int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **)) system_;
    const char *end = node ? strrchr(node, '.') : NULL;

    if (!system_) {
        void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
        int (*function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
        memcpy(&function, &symbol, sizeof function);
        system_ = function;
    }
    gate_pass(&names);
    if (end && strcmp(end, ".gone") == 0)
        return EAI_NONAME;
    return system_(end && strcmp(end, ".here") == 0 ? "127.0.0.1" : node, service, hints, found);
}

/* ---- the server ---- */

static struct gate answers = GATE_OPEN; /* what it says after "gate" waits here */
static _Atomic int n_requests, n_connections, n_serving;

/* The whole request: head and body. */
static inline bool read_request(int fd, char *request, size_t size)
{
    size_t len = 0, wanted = 0;

    request[0] = '\0';
    while (len + 1 < size) {
        char *end = strstr(request, "\r\n\r\n"), *length = strstr(request, "Content-Length: ");
        if (end && wanted == 0)
            wanted = (size_t)(end + 4 - request) + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
        if (wanted > 0 && len >= wanted)
            return true;
        ssize_t n = recv(fd, request + len, size - 1 - len, 0);
        if (n <= 0)
            return false;
        len += (size_t)n;
        request[len] = '\0';
        if (request[0] == 0x16) /* TLS */
            return false;
    }
    return false;
}

static inline bool say(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

static inline bool say_text(int fd, const char *text)
{
    return say(fd, text, strlen(text));
}

/* The test's: answers the request; false: the connection ends. */
static bool serve(int fd, const char *path, const char *request);

static inline void *serve_connection(void *user)
{
    int fd = (int)(intptr_t)user;
    static const size_t size = 256 * 1024;
    char *request = malloc(size), path[512];

    while (read_request(fd, request, size)) {
        n_requests++;
        assert_int_equal(sscanf(request, "%*s %511s", path), 1);
        if (!serve(fd, path, request))
            break;
    }
    free(request);
    close(fd);
    n_serving--;
    return NULL;
}

struct world {
    struct loop loop;
    struct fetcher *fetcher;
    int listener, port;
    pthread_t thread;
};

static inline void *accept_all(void *user)
{
    struct world *world = user;
    int fd;

    while ((fd = accept(world->listener, NULL, NULL)) >= 0) {
        pthread_t thread;
        n_connections++;
        n_serving++;
        CHECK(pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd) == 0);
        pthread_detach(thread);
    }
    return NULL;
}

static inline struct world *world_begin(void)
{
    struct world *world = calloc(1, sizeof *world);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    assert_non_null(world);
    n_requests = n_connections = 0;
    assert_int_equal(loop_init(&world->loop), 0);
    world->fetcher = fetcher_new(&world->loop);
    world->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(world->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(world->listener, 512), 0);
    assert_int_equal(getsockname(world->listener, (struct sockaddr *)&address, &len), 0);
    world->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&world->thread, NULL, accept_all, world), 0);
    return world;
}

/* Ends it, and checks that nothing remains. */
static inline void world_end(struct world *world)
{
    fetcher_free(world->fetcher);
    loop_fini(&world->loop);
    shutdown(world->listener, SHUT_RDWR);
    pthread_join(world->thread, NULL);
    close(world->listener);
    uint64_t until = clock_monotonic_ns() + TEST_SECONDS * (uint64_t)1000 * NS_PER_MS;
    while (n_serving > 0) { /* the fetcher has closed its connections */
        assert_true(clock_monotonic_ns() < until);
        usleep(1000);
    }
    free(world);
}

/* ---- fetches ---- */

struct get {
    struct fetch fetch;
    struct fetch_options options;
    char url[512];
    unsigned changes;
    void (*on_change)(struct get *get);
};

static inline void on_changed(struct fetch *fetch)
{
    struct get *get = container_of(fetch, struct get, fetch);
    get->changes++;
    if (get->on_change)
        get->on_change(get);
}

/* The options of a GET of a path of the server, or of a whole URL. */
static inline struct get *get_of(const struct world *world, const char *path)
{
    struct get *get = calloc(1, sizeof *get);

    assert_non_null(get);
    if (path[0] == '/')
        snprintf(get->url, sizeof get->url, "http://127.0.0.1:%d%s", world->port, path);
    else
        snprintf(get->url, sizeof get->url, path, world->port);
    get->fetch.changed = on_changed;
    get->options = (struct fetch_options){
        .url = get->url, .method = "GET", .timeout_ms = TEST_SECONDS * 1000, .most = 1024 * 1024};
    return get;
}

/* Everything may come. */
static inline void allow_all(struct get *get)
{
    fetch_allow(&get->fetch, get->options.most + 65536);
}

static inline void get_start(struct world *world, struct get *get)
{
    fetch_start(world->fetcher, &get->fetch, &get->options);
}

static inline bool is_over(const struct get *get)
{
    return get->fetch.state == FETCH_COMPLETE || get->fetch.state == FETCH_FAILED;
}

static inline void get_wait(struct world *world, struct get *get)
{
    get_start(world, get);
    allow_all(get);
    WAIT(world, is_over(get));
}

static inline void get_end(struct get *get)
{
    fetch_close(&get->fetch);
    free(get);
}

/* What a GET of the path comes to: "200 body", or "code: message". */
static inline void expect_at(struct world *world, struct get *get, const char *wanted, const char *file, int line)
{
    char found[4096];

    get_wait(world, get);
    if (get->fetch.state == FETCH_COMPLETE)
        snprintf(found, sizeof found, "%d %.*s", get->fetch.status, (int)get->fetch.body.len,
                 get->fetch.body.data ? (const char *)get->fetch.body.data : "");
    else
        snprintf(found, sizeof found, "%s: %s", fetch_error_code(get->fetch.error), get->fetch.message);
    if (strncmp(found, wanted, strlen(wanted)) != 0) {
        print_error("%s:%d: %s: found %s, not %s\n", file, line, get->url, found, wanted);
        _fail(file, line);
    }
    get_end(get);
}
#define expect(world, get, wanted) expect_at(world, get, wanted, __FILE__, __LINE__)
