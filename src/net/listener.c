/* Listening sockets. Each connection is taken off the kernel's queue whatever becomes of it: a queue that stays full
 * turns people away in silence. */
#include "net/listener.h"

#include "base/check.h"
#include "net/private.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel takes the least of this and net.core.somaxconn. */
#define BACKLOG 4096

/* Connections over the limit that get an answer; more are reset at once. */
#define REFUSED_MAX 32u

/* Connections that are taken in one turn; then those that are there have theirs. */
#define ACCEPTED_MAX 256u

/* ms until it is tried again to accept where not even the spare descriptor is left. */
#define AGAIN_MS 50u

struct listener {
    uv_poll_t poll;
    int fd, spare;      /* the socket; and a descriptor for when there are no others, or -1 */
    struct timer again; /* while it does not poll, for want of the spare one */
    struct net *net;
    const struct listener_ops *ops;
    void *user;
    uint64_t max;
};

/* ---- accepting ---- */

static void take(struct listener *listener, int fd)
{
    struct net *net = listener->net;
    struct conn *conn = conn_new(net, fd);
    size_t refused = net->total->n_refused;
    bool full = net->total->n_conns - refused > listener->max; /* with this one */
    bool crowded = full && refused >= REFUSED_MAX;

    if (full) {
        conn->refused = true;
        net->total->n_refused++;
        net->counters->connections_refused++;
    } else {
        net->counters->connections_accepted++;
    }
    if (net->tls && !crowded) {
        conn->secure = true;
        conn->tls = tls_new(net->tls);
    }
    if (crowded || (conn->secure && !conn->tls)) {
        conn_reset(conn);
        return;
    }
    net->accepted = conn;
    listener->ops->on_accept(listener->user, conn, full);
    conn_read_now(conn);
    net->accepted = NULL;
    conn_start(conn);
}

/* The next one, or -1: there is none, or none can be taken (errno). */
static int take_next(struct listener *listener)
{
    struct sockaddr *from = (struct sockaddr *)&listener->net->accepted_from;
    socklen_t len = sizeof listener->net->accepted_from;

    return accept4(listener->fd, from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void on_waiting(uv_poll_t *poll, int status, int events);

static void listen_on(struct listener *listener)
{
    CHECK(uv_poll_start(&listener->poll, UV_READABLE, on_waiting) == 0);
}

static void on_again(struct timer *timer)
{
    listen_on(container_of(timer, struct listener, again));
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* There is no descriptor left. Those who wait are turned away, with the spare one: they would be left waiting, and the
 * poll would say so without an end. When others have been quicker to take that, it is not asked for a while. */
static void turn_away(struct listener *listener)
{
    int fd;

    if (listener->spare < 0)
        listener->spare = open_spare();
    if (listener->spare >= 0) {
        close(listener->spare);
        while ((fd = take_next(listener)) >= 0)
            close(fd);
        listener->spare = open_spare();
    }
    if (listener->spare < 0) {
        uv_poll_stop(&listener->poll);
        timer_start(listener->net->loop, &listener->again, AGAIN_MS);
    }
}

static void on_waiting(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = container_of(poll, struct listener, poll);

    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPTED_MAX; i++) {
        int fd = take_next(listener);
        if (fd >= 0) {
            take(listener, fd);
        } else if (errno == EMFILE || errno == ENFILE) {
            turn_away(listener);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO) {
            return; /* EAGAIN: that were all */
        }
    }
}

/* ---- life ---- */

/* The address of a host. A name may have one of each family ("localhost"): IPv4, which every
 * client tries. */
static int resolve(struct net *net, const char *host, int port, struct sockaddr_storage *address)
{
    static const int families[] = {AF_INET, AF_INET6};
    char service[8];
    int rc = UV_EAI_NONAME;

    if (uv_ip4_addr(host, port, (struct sockaddr_in *)(void *)address) == 0 ||
        uv_ip6_addr(host, port, (struct sockaddr_in6 *)(void *)address) == 0)
        return 0;
    if (strpbrk(host, "[]") || (strchr(host, ':') && !strchr(host, '%')))
        return UV_EAI_NONAME; /* no name has these, and the network need not be asked */
    snprintf(service, sizeof service, "%u", (unsigned)port & 0xffffu);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct addrinfo hints = {.ai_family = families[i],
                                 .ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
        uv_getaddrinfo_t request;
        rc = uv_getaddrinfo(&net->loop->uv, &request, NULL, host, service, &hints);
        if (rc == 0) {
            memcpy(address, request.addrinfo->ai_addr, request.addrinfo->ai_addrlen);
            uv_freeaddrinfo(request.addrinfo);
            break;
        }
    }
    return rc;
}

static int set_option(int fd, int level, int option)
{
    static const int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) == 0 ? 0 : -errno;
}

/* A socket on the address, which others with share may have too; or a negative errno. */
static int open_socket(const struct sockaddr_storage *address, bool share)
{
    static const int off = 0;
    bool v6 = address->ss_family == AF_INET6;
    socklen_t len = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    int rc = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    if (rc == 0 && share)
        rc = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    if (rc == 0 && v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0)
        rc = -errno;
    if (rc == 0 && bind(fd, (const struct sockaddr *)address, len) != 0)
        rc = -errno;
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

/* The first one looks whether nobody else is there: SO_REUSEPORT would let in any program of the same user. */
static int bind_to(const struct sockaddr_storage *address, enum listener_share share)
{
    int fd = share == LISTENER_FIRST ? open_socket(address, false) : -1;

    if (share == LISTENER_FIRST && fd < 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return open_socket(address, share != LISTENER_ALONE);
}

static void on_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct listener, poll));
}

struct listener *listener_open(struct net *net, const char *host, int port, int fd, enum listener_share share,
                               uint64_t max, const struct listener_ops *ops, void *user, int *error)
{
    struct listener *listener = xcalloc(sizeof *listener);
    struct sockaddr_storage address = {0};

    listener->net = net;
    listener->ops = ops;
    listener->user = user;
    listener->max = max;
    *error = fd >= 0 ? 0 : resolve(net, host, port, &address);
    if (*error == 0 && fd < 0 && (fd = bind_to(&address, share)) < 0)
        *error = fd;
    listener->fd = fd;
    /* What is accepted inherits it: a turn's bytes leave together, there is nothing to wait for. */
    if (*error == 0)
        *error = set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (*error == 0 && listen(fd, BACKLOG) != 0)
        *error = -errno;
    if (*error == 0) /* makes it one that does not block */
        *error = uv_poll_init(&net->loop->uv, &listener->poll, fd);
    if (*error) {
        if (fd >= 0)
            close(fd);
        free(listener);
        return NULL;
    }
    listener->spare = open_spare();
    listener->again.fn = on_again;
    listen_on(listener);
    return listener;
}

/* An IPv4 one has its port at the same place. */
static struct sockaddr_in6 bound_to(const struct listener *listener)
{
    struct sockaddr_in6 address = {0};
    socklen_t len = sizeof address;

    _Static_assert(offsetof(struct sockaddr_in6, sin6_port) == offsetof(struct sockaddr_in, sin_port),
                   "port");
    CHECK(getsockname(listener->fd, (struct sockaddr *)&address, &len) == 0);
    return address;
}

int listener_port(const struct listener *listener)
{
    return ntohs(bound_to(listener).sin6_port);
}

void listener_address(const struct listener *listener, char out[INET6_ADDRSTRLEN])
{
    struct sockaddr_in6 address = bound_to(listener);
    const struct in6_addr *ip = &address.sin6_addr;

    if (address.sin6_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&address)->sin_addr, out, INET6_ADDRSTRLEN);
    else if (IN6_IS_ADDR_V4MAPPED(ip))
        inet_ntop(AF_INET, &ip->s6_addr[12], out, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, ip, out, INET6_ADDRSTRLEN);
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    timer_stop(&listener->again);
    uv_close((uv_handle_t *)&listener->poll, on_closed); /* polls it no more from here on */
    close(listener->fd);
    if (listener->spare >= 0)
        close(listener->spare);
}
