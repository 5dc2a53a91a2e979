/* The socket is duplicated, since libuv can't give one up: closing the first descriptor ends nothing while
 * there is a second. */
#include "net/conn_move.h"

#include "base/check.h"
#include "net/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int conn_export(struct conn *conn, struct conn_parcel *parcel)
{
    uv_os_fd_t fd;

    CHECK(conn->state == CONN_OPEN && conn->paused && !conn->group && !conn->held);
    if (!conn->error)
        conn_flush(conn);
    if (conn->error)
        return conn->error;
    if (conn_pending(conn) > 0)
        return -EAGAIN;
    int rc = uv_fileno((const uv_handle_t *)&conn->tcp, &fd);
    if (rc)
        return rc;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return -errno;
    *parcel = (struct conn_parcel){.fd = copy, .left = conn->left, .tls = conn->tls};
    conn->left = NULL;
    conn->tls = NULL;
    conn_let_go(conn);
    return 0;
}

struct conn *conn_import(struct net *net, struct conn_parcel *parcel)
{
    struct conn *conn = conn_new(net);

    net->total->n_conns--; /* it was counted all the while */
    conn->left = parcel->left;
    conn->tls = parcel->tls;
    conn->secure = parcel->tls != NULL;
    conn->tls_begun = true;
    int rc = uv_tcp_open(&conn->tcp, parcel->fd);
    if (rc) {
        close(parcel->fd);
        conn_reset(conn);
        return NULL;
    }
    return conn;
}
