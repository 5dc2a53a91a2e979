/* A connection that was not polled yet moves for next to nothing: its descriptor and what was read of it go. */
#include "net/conn_move.h"

#include "base/check.h"
#include "net/private.h"

#include <errno.h>

int conn_export(struct conn *conn, struct conn_parcel *parcel)
{
    CHECK(conn->state == CONN_OPEN && conn->paused && !conn->group && !conn->held);
    if (!conn->error)
        conn_flush(conn);
    if (conn->error)
        return conn->error;
    if (conn_pending(conn) > 0)
        return -EAGAIN;
    struct conn_parcel taken = {.left = conn->left, .tls = conn->tls};
    conn->left = NULL;
    conn->tls = NULL;
    int rc = conn_let_go(conn, &taken.fd);
    if (rc == 0) {
        *parcel = taken;
        return 0;
    }
    conn->left = taken.left;
    conn->tls = taken.tls;
    return rc;
}

struct conn *conn_import(struct net *net, struct conn_parcel *parcel)
{
    struct conn *conn = conn_new(net, parcel->fd);

    net->total->n_conns--; /* it was counted all the while */
    conn->left = parcel->left;
    conn->tls = parcel->tls;
    conn->secure = parcel->tls != NULL;
    conn->tls_begun = true;
    return conn;
}
