/* For the tests of what fetches: a server with a thread for each connection, whose answers the path chooses, and a name
 * server that waits when a test wants it to. */
#pragma once

#include "base/check.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SERVER_SECONDS 60

/* ---- gates that threads wait at ---- */

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut;
    int waiting;
};

#define GATE_OPEN                                                                                            \
    {                                                                                                        \
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                               \
    }

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

static struct gate lookups = GATE_OPEN;

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
    gate_pass(&lookups);
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
            wanted =
                (size_t)(end + 4 - request) + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
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

struct server {
    int listener, port;
    pthread_t thread;
};

static inline void *accept_all(void *user)
{
    const struct server *server = user;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        pthread_t thread;
        n_connections++;
        n_serving++;
        CHECK(pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd) == 0);
        pthread_detach(thread);
    }
    return NULL;
}

static inline void server_begin(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    n_requests = n_connections = 0;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 512), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, accept_all, server), 0);
}

/* Its clients have closed their connections, or are about to. */
static inline void server_end(struct server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    uint64_t until = clock_monotonic_ns() + SERVER_SECONDS * (uint64_t)1000 * NS_PER_MS;
    while (n_serving > 0) {
        assert_true(clock_monotonic_ns() < until);
        usleep(1000);
    }
}
