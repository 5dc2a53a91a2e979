/* A connection that speaks TLS: between its socket and its queue, and between its socket and its reader, stands
 * net/tls.h. Its queue and its share of a group's log are plain; what the kernel is to take next is encrypted then,
 * so that only little is ciphertext at a time. */
#include "base/check.h"
#include "base/log.h"
#include "net/private.h"
#include "net/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RECORD_MAX 16384u      /* plain bytes of one record (RFC 8446 §5.1) */
#define OUT_MAX (64u * 1024)   /* ciphertext that is made before it is sent */
#define HANDSHAKE_RECORD 0x16u /* the first byte of all that begins TLS */

/* ---- reading ---- */

/* Somebody speaks HTTP where TLS is spoken: told so in the same way. */
static void answer_plain(struct conn *conn)
{
    struct span answer = conn->net->plain_answer;

    conn->net->counters->tls_failed++;
    tls_free(conn->tls);
    conn->tls = NULL;
    conn->secure = false;
    conn_write(conn, answer.ptr, answer.len);
    conn_close(conn);
}

/* What is left to be said (an alert) is tried once: nobody waits for who can't be understood. */
static void fail_handshake(struct conn *conn)
{
    const uint8_t *out;
    size_t len = tls_out(conn->tls, &out);

    log_event(LOG_DEBUG, "TLS handshake failed", log_str("error", tls_problem(conn->tls)));
    if (len > 0 && !conn->tls_sending)
        (void)!send(conn->fd, out, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    conn_drop(conn);
}

void conn_tls_pump(struct conn *conn)
{
    uint8_t *buffer = (uint8_t *)conn->net->loop->read_buffer;

    if (conn->state == CONN_CLOSED || conn->error)
        return;
    if (!tls_ready(conn->tls)) {
        int rc = tls_handshake(conn->tls);
        if (rc < 0) {
            fail_handshake(conn);
            return;
        }
        conn_mark(conn);
        if (rc == 0)
            return;
    }
    while (conn->state != CONN_CLOSED && !conn->error && !conn->ended &&
           !(conn->state == CONN_OPEN && conn->paused)) {
        ssize_t n = tls_read(conn->tls, buffer, LOOP_READ_BUFFER);
        if (n == 0)
            break;
        if (n == TLS_ENDED)
            conn_peer_ended(conn);
        else if (n < 0)
            conn_fail(conn, -EPROTO);
        else if (conn->state == CONN_OPEN)
            conn_bytes(conn, buffer, (size_t)n);
    }
    if (conn_tls_waiting(conn) > 0)
        conn_mark(conn);
}

void conn_tls_received(struct conn *conn, const uint8_t *data, size_t len)
{
    if (conn->state == CONN_CLOSED)
        return;
    if (!conn->tls_begun) {
        conn->tls_begun = true;
        if (data[0] >= 'A' && data[0] <= 'Z' && data[0] != HANDSHAKE_RECORD && conn->state == CONN_OPEN) {
            answer_plain(conn);
            return;
        }
    }
    int rc = tls_feed(conn->tls, data, len);
    if (rc)
        conn_fail(conn, rc);
    else
        conn_tls_pump(conn);
}

/* ---- writing ---- */

size_t conn_tls_waiting(const struct conn *conn)
{
    const uint8_t *out;
    return conn->tls ? tls_out(conn->tls, &out) : 0;
}

/* Small pieces make one record, so that there are not as many heads and seals as messages. */
static int encrypt_next(struct conn *conn, bool *nothing)
{
    struct iovec pieces[FLUSH_PIECES];
    uint8_t gathered[RECORD_MAX];
    size_t all, len = 0;
    unsigned n = conn_front(conn, pieces, &all);
    const uint8_t *from = gathered;

    *nothing = n == 0;
    if (n == 0)
        return 0;
    if (n == 1 || pieces[0].iov_len >= RECORD_MAX) {
        from = pieces[0].iov_base;
        len = pieces[0].iov_len < RECORD_MAX ? pieces[0].iov_len : RECORD_MAX;
    } else {
        for (unsigned i = 0; i < n && len < RECORD_MAX; i++) {
            size_t part = pieces[i].iov_len < RECORD_MAX - len ? pieces[i].iov_len : RECORD_MAX - len;
            memcpy(gathered + len, pieces[i].iov_base, part);
            len += part;
        }
    }
    int rc = tls_write(conn->tls, from, len);
    if (rc == 0)
        conn_take(conn, len);
    return rc;
}

int conn_tls_write(struct conn *conn, int fd)
{
    const uint8_t *out;
    size_t len;

    for (;;) {
        bool nothing = !tls_ready(conn->tls);
        while (!nothing && conn_tls_waiting(conn) < OUT_MAX) {
            int rc = encrypt_next(conn, &nothing);
            if (rc)
                return rc;
        }
        len = tls_out(conn->tls, &out);
        if (len == 0)
            return 1;
        ssize_t n = send(fd, out, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        conn->net->writes++;
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        tls_out_taken(conn->tls, (size_t)n);
        if ((size_t)n < len)
            return 0;
    }
}

/* A copy, since TLS may have something to say meanwhile, which would move what it has said before. */
struct sending_later {
    uv_write_t req; /* first: freed as such */
    uint8_t data[];
};

int conn_tls_write_later(struct conn *conn, uv_write_cb on_written)
{
    const uint8_t *out;
    size_t len = tls_out(conn->tls, &out);

    if (len == 0)
        return 0; /* more of the handshake is awaited */
    struct sending_later *sending = malloc(sizeof *sending + len);
    if (!sending)
        return -ENOMEM;
    memcpy(sending->data, out, len);
    uv_buf_t piece = uv_buf_init((char *)sending->data, (unsigned)len);
    int rc = uv_write(&sending->req, (uv_stream_t *)&conn->tcp, &piece, 1, on_written);
    conn->net->writes++;
    if (rc) {
        free(sending);
        return rc;
    }
    tls_out_taken(conn->tls, len);
    conn->tls_sending = true;
    return 0;
}
