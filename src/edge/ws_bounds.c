/* What a WebSocket's client may send: messages and bytes in a second, pings and pongs, and how many of those are
 * answered. Called by the session through ws_socket.c's table; ends a session that is over, and nothing else. */
#include "edge/ws_socket.h"

#include <inttypes.h>

/* Bytes to be written from which on only the newest ping is answered. */
#define PONGS_MAX (128u * 1024)

/* Pings and pongs of a client in a second. */
#define CONTROL_PER_SECOND 10000u

/* While the room could take nothing, what came waited, and is no fault of the client's. */
static void excuse_pause(struct ws_socket *socket, uint64_t now)
{
    const struct limits *limits = &socket->edge->config->limits;

    if (limits->messages_per_second != LIMIT_NONE)
        rate_excuse(&socket->messages, limits->messages_per_second, socket->held_since, now);
    if (limits->bytes_per_second != LIMIT_NONE)
        rate_excuse(&socket->bytes, limits->bytes_per_second, socket->held_since, now);
    socket->held_since = 0;
}

void ws_bound_payload(struct ws_session *session, size_t len, bool last)
{
    struct ws_socket *socket = ws_socket_of(session);
    const struct limits *limits = &socket->edge->config->limits;
    if (limits->messages_per_second == LIMIT_NONE && limits->bytes_per_second == LIMIT_NONE) {
        socket->held_since = 0;
        return;
    }

    uint64_t now = loop_now(socket->edge->net->loop), over;
    if (socket->held_since)
        excuse_pause(socket, now);
    if (limits->bytes_per_second != LIMIT_NONE &&
        (over = rate_take(&socket->bytes, limits->bytes_per_second, now, len)) != 0)
        ws_session_fail(session, 1008, "Too many bytes: %" PRIu64 " > %" PRIu64 " (bytesPerSecond)", over,
                        limits->bytes_per_second);
    else if (last && limits->messages_per_second != LIMIT_NONE &&
             (over = rate_take(&socket->messages, limits->messages_per_second, now, 1)) != 0)
        ws_session_fail(session, 1008, "Too many messages: %" PRIu64 " > %" PRIu64 " (messagesPerSecond)",
                        over, limits->messages_per_second);
}

/* False: it was one too many. */
static bool count_control(struct ws_socket *socket)
{
    uint64_t now = loop_now(socket->edge->net->loop);
    uint64_t over = rate_take(&socket->control, CONTROL_PER_SECOND, now, 1);

    if (over)
        ws_session_fail(&socket->session, 1008, "Too many pings and pongs: %" PRIu64 " > %u in a second",
                        over, CONTROL_PER_SECOND);
    return over == 0;
}

/* The newest ping is the one to be answered: an older one that waits need not be (RFC 6455 §5.5.3). */
void ws_bound_ping(struct ws_session *session, const uint8_t *payload, size_t len)
{
    struct ws_socket *socket = ws_socket_of(session);

    if (!count_control(socket))
        return;
    bytes_unref(socket->pong);
    socket->pong = NULL;
    if (socket->conn->waiting || conn_pending(socket->conn) > PONGS_MAX)
        socket->pong = bytes_copy(payload, len); /* without memory for it no pong: the next ping gets one */
    else
        ws_session_pong(session, payload, len);
}

void ws_bound_pong(struct ws_session *session)
{
    count_control(ws_socket_of(session));
}

void ws_answer_ping(struct ws_socket *socket)
{
    struct bytes *pong = socket->pong;

    if (!pong || socket->conn->waiting)
        return;
    socket->pong = NULL;
    ws_session_pong(&socket->session, pong->data, pong->len);
    bytes_unref(pong);
}
