/* Listening sockets. Each connection is taken off the kernel's queue whatever becomes of it:
 * libuv stops listening otherwise, and a queue that stays full turns people away in silence. */
#include "net/listener.h"

#include "base/check.h"
#include "net/private.h"
#include "net/tls.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel takes the least of this and net.core.somaxconn. */
#define BACKLOG 4096

/* Connections over the limit that get an answer; more are reset at once. */
#define REFUSED_MAX 32u

struct listener {
    uv_tcp_t tcp;
    struct net *net;
    const struct listener_ops *ops;
    void *user;
    uint64_t max;
};

/* ---- accepting ---- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = container_of((uv_tcp_t *)stream, struct listener, tcp);
    struct net *net = listener->net;

    if (status < 0)
        return; /* no descriptor or memory was left; libuv has turned the peer away */
    struct conn *conn = conn_new(net);
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
    if (uv_accept(stream, (uv_stream_t *)&conn->tcp) != 0 || crowded) {
        conn_reset(conn);
        return;
    }
    if (net->tls) {
        conn->secure = true;
        conn->tls = tls_new(net->tls);
        if (!conn->tls) {
            conn_reset(conn);
            return;
        }
    }
    listener->ops->on_accept(listener->user, conn, full);
    conn_read_now(conn);
    conn_start(conn);
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

/* Is nobody else on the address? SO_REUSEPORT would let in any program of the same user. */
static int check_free(const struct sockaddr_storage *address)
{
    static const int on = 1;
    socklen_t len = address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = 0;

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)address, len) != 0)
        rc = -errno;
    close(fd);
    return rc;
}

static int share_port(const struct listener *listener)
{
    static const int on = 1;
    uv_os_fd_t fd;

    int rc = uv_fileno((const uv_handle_t *)&listener->tcp, &fd);
    if (rc)
        return rc;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 ? 0 : -errno;
}

static int bind_to(struct listener *listener, const struct sockaddr_storage *address,
                   enum listener_share share)
{
    int rc = share == LISTENER_FIRST ? check_free(address) : 0;
    if (rc == 0 && share != LISTENER_ALONE)
        rc = share_port(listener);
    return rc ? rc : uv_tcp_bind(&listener->tcp, (const struct sockaddr *)address, 0);
}

static void on_closed(uv_handle_t *handle)
{
    free(container_of((uv_tcp_t *)handle, struct listener, tcp));
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
    /* The socket has to be there before it is bound: share_port sets an option of it. */
    *error = fd >= 0 ? 0 : resolve(net, host, port, &address);
    if (*error == 0)
        *error = uv_tcp_init_ex(&net->loop->uv, &listener->tcp, fd >= 0 ? AF_UNSPEC : address.ss_family);
    if (*error) {
        if (fd >= 0)
            close(fd);
        free(listener);
        return NULL;
    }
    if (fd < 0)
        *error = bind_to(listener, &address, share);
    else if ((*error = uv_tcp_open(&listener->tcp, fd)) != 0)
        close(fd);
    if (*error ==
        0) /* what is accepted inherits it: a turn's bytes leave together, there is nothing to wait for */
        *error = uv_tcp_nodelay(&listener->tcp, 1);
    if (*error == 0) /* reports EADDRINUSE, too */
        *error = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    if (*error == 0)
        return listener;
    listener_close(listener);
    return NULL;
}

int listener_port(const struct listener *listener)
{
    struct sockaddr_storage address = {0};
    int len = sizeof address;

    uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&address, &len);
    if (address.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(void *)&address)->sin6_port);
    return ntohs(((const struct sockaddr_in *)(void *)&address)->sin_port);
}

void listener_close(struct listener *listener)
{
    if (listener)
        uv_close((uv_handle_t *)&listener->tcp, on_closed);
}
