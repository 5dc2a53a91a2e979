#include "edge/ws_socket.h"

#include "base/check.h"
#include "base/log.h"
#include "edge/error_page.h"
#include "edge/origin.h"
#include "http/writer.h"
#include "net/conn_group.h"
#include "ws/deflate.h"

#include <stdlib.h>

/* Pings in a row without any sign of life after which a peer is given up. */
#define PINGS_MAX 2u

static struct ws_socket *of_peer(const struct peer *peer)
{
    return container_of(peer, struct ws_socket, peer);
}

static bool is_open(const struct ws_socket *socket)
{
    return socket->conn && socket->conn->state == CONN_OPEN;
}

/* ms since it was let in */
static int64_t age(const struct ws_socket *socket)
{
    return (int64_t)(loop_now(socket->edge->net->loop) - socket->opened);
}

static void log_socket(const struct ws_socket *socket, const char *message, const struct log_field *more,
                       size_t n)
{
    const char *party = socket->place ? socket->place : "";
    struct log_field fields[6] = {
        log_str("party", party),
        log_str("room", socket->place ? party + strlen(party) + 1 : ""),
        log_str("connection", socket->peer.id),
        log_str("remote", socket->peer.remote),
    };
    for (size_t i = 0; i < n; i++)
        fields[4 + i] = more[i];
    log_line(LOG_INFO, message, fields, 4 + n);
}

/* A close frame was sent or nothing can be: whatever the room has for all is not for it any more. */
static void silence(struct ws_socket *socket)
{
    if (socket->conn)
        conn_group_leave(socket->conn);
}

/* Its end, told once, to the log and to the room. */
static void report_end(struct ws_socket *socket, uint16_t code, const char *reason, size_t len, bool clean)
{
    if (socket->ended)
        return;
    socket->ended = true;
    silence(socket);
    if (socket->accepted && log_enabled(LOG_INFO))
        log_socket(socket, "socket closed",
                   (struct log_field[]){log_int("code", code), log_int("ms", age(socket))}, 2);
    room_close(&socket->peer, code, reason, len, clean);
}

/* It ends without a close frame of the client: with the code of ours, if there was one. */
static void lost(struct ws_socket *socket)
{
    uint16_t ours = socket->close_code ? socket->close_code : 1005;
    const char *reason = socket->close_reason ? socket->close_reason : "";
    report_end(socket, socket->closing ? ours : 1006, reason, strlen(reason), false);
}

/* ---- timers ---- */

static void on_close_timeout(struct conn *conn)
{
    struct ws_socket *socket = conn->user;
    socket->edge->counters->timeouts++;
    lost(socket);
    conn_reset(conn);
}

static void on_ping(struct conn *conn)
{
    struct ws_socket *socket = conn->user;

    if (socket->unanswered >= PINGS_MAX) {
        socket->edge->counters->sockets_dead++;
        lost(socket);
        conn_reset(conn);
        return;
    }
    if (!conn->paused) /* else it is we who do not listen */
        socket->unanswered++;
    ws_session_ping(&socket->session);
    conn_set_timer(conn, on_ping, socket->edge->config->limits.ping_interval);
}

static void begin_closing(struct ws_socket *socket, uint16_t code)
{
    socket->closing = true;
    socket->close_code = code;
    conn_set_timer(socket->conn, on_close_timeout, socket->edge->config->limits.close_timeout);
    list_remove(&socket->peer.waiting);
    conn_resume(socket->conn); /* the answer has to be read, whatever the room can take */
}

/* ---- what the room wants (struct peer_kind) ---- */

/* Those of a room's sockets that are sent the same bytes. */
struct ws_variant {
    struct conn_group conns; /* net is NULL until one joins */
    struct ws_variant *next; /* owned */
    uint8_t deflate;         /* as in struct ws_socket */
};

struct ws_group {
    struct peer_group base;
    struct ws_variant plain; /* one for each window follows */
};

static struct peer_group *ws_group_open(struct room *room)
{
    struct ws_group *group = calloc(1, sizeof *group);
    (void)room;
    if (!group)
        return NULL;
    return &group->base;
}

static void variant_fini(struct ws_variant *variant)
{
    while (variant->conns.net && !list_empty(&variant->conns.members))
        conn_group_leave(container_of(variant->conns.members.next, struct conn, member));
    conn_group_fini(&variant->conns);
}

static void ws_group_close(struct peer_group *base)
{
    struct ws_group *group = container_of(base, struct ws_group, base);
    struct ws_variant *variant;

    while ((variant = group->plain.next) != NULL) {
        group->plain.next = variant->next;
        variant_fini(variant);
        free(variant);
    }
    variant_fini(&group->plain);
    free(group);
}

/* The connections of a socket's variant, which is made for the first one. */
static struct conn_group *variant_for(struct ws_group *group, const struct ws_socket *socket)
{
    struct ws_variant *variant = &group->plain;

    while (variant && variant->deflate != socket->deflate)
        variant = variant->next;
    if (!variant) {
        variant = xcalloc(sizeof *variant);
        variant->deflate = socket->deflate;
        variant->next = group->plain.next;
        group->plain.next = variant;
    }
    if (!variant->conns.net)
        conn_group_init(&variant->conns, socket->edge->net);
    return &variant->conns;
}

static enum ws_opcode opcode_of(bool binary)
{
    return binary ? WS_BINARY : WS_TEXT;
}

static size_t frame_head(uint8_t head[WS_HEAD_MAX], const struct bytes *data, bool binary)
{
    return ws_frame_head(head, opcode_of(binary), false, data->len);
}

/* A compressed message as a whole frame; NULL: it goes out as it is. */
static const uint8_t *compress(uint8_t window, const struct bytes *data, bool binary, size_t *len)
{
    return window ? ws_deflate_frame(opcode_of(binary), window, data->data, data->len, len) : NULL;
}

static void variant_send(struct ws_variant *variant, const struct bytes *data, bool binary,
                         struct conn *const *without, size_t n_without)
{
    uint8_t head[WS_HEAD_MAX];
    size_t len;

    if (!variant->conns.net || list_empty(&variant->conns.members))
        return;
    const uint8_t *frame = compress(variant->deflate, data, binary, &len);
    if (frame)
        conn_group_write(&variant->conns, frame, len, "", 0, without, n_without);
    else
        conn_group_write(&variant->conns, head, frame_head(head, data, binary), data->data, data->len,
                         without, n_without);
}

static void ws_group_send(struct peer_group *base, struct bytes *data, bool binary,
                          struct peer *const *without, size_t n_without)
{
    struct ws_group *group = container_of(base, struct ws_group, base);
    struct conn *few[16], **conns = few;
    size_t n = 0;

    if (n_without > sizeof few / sizeof *few) {
        conns = malloc(n_without * sizeof(struct conn *));
        if (!conns) { /* rather nobody than the wrong ones */
            log_line(LOG_WARN, "a broadcast was dropped: not enough memory", NULL, 0);
            return;
        }
    }
    for (size_t i = 0; i < n_without; i++) {
        if (without[i]->kind == base->kind && of_peer(without[i])->conn)
            conns[n++] = of_peer(without[i])->conn;
    }
    for (struct ws_variant *variant = &group->plain; variant; variant = variant->next)
        variant_send(variant, data, binary, conns, n);
    if (conns != few)
        free(conns);
}

/* The 101 goes first of all that is written; it leaves when the connection is released. */
static void write_answer(struct ws_socket *socket)
{
    if (!socket->answer)
        return;
    conn_write(socket->conn, socket->answer, strlen(socket->answer));
    free(socket->answer);
    socket->answer = NULL;
}

static void ws_join(struct peer *peer, struct peer_group *base)
{
    struct ws_socket *socket = of_peer(peer);
    struct ws_group *group = container_of(base, struct ws_group, base);

    if (!is_open(socket))
        return;
    write_answer(socket);
    conn_group_join(variant_for(group, socket), socket->conn);
}

static void let_in(struct ws_socket *socket)
{
    if (socket->accepted || !is_open(socket))
        return;
    socket->accepted = true;
    write_answer(socket);
    socket->opened = loop_now(socket->edge->net->loop);
    if (log_enabled(LOG_INFO))
        log_socket(socket, "socket opened", (struct log_field[]){log_int("status", 101)}, 1);
    conn_release(socket->conn);
    conn_resume(socket->conn);
    if (!socket->closing)
        conn_set_timer(socket->conn, on_ping, socket->edge->config->limits.ping_interval);
}

static void ws_accept(struct peer *peer)
{
    let_in(of_peer(peer));
}

/* The path of an absolute URL: without the query, which may hold a token. */
static struct span path_of(const char *url)
{
    const char *path = strchr(strstr(url, "//") + 2, '/');
    return (struct span){path, strcspn(path, "?")};
}

static void ws_refuse(struct peer *peer, struct http_response *response)
{
    struct ws_socket *socket = of_peer(peer);

    if (is_open(socket) && response) {
        struct buf *scratch = &socket->edge->scratch;
        struct http_write_options options = {.close = true,
                                             .extra = cors_headers(socket->edge->config, response)};
        scratch->len = 0;
        if (response->problem)
            error_page_fill(response, false);
        log_event(LOG_INFO, "socket refused", log_text("path", path_of(peer->uri)),
                  log_int("status", response->status));
        if (http_write_head(scratch, response, &options) == 0) {
            if (response->body)
                conn_write_message(socket->conn, scratch->data, scratch->len, response->body);
            else
                conn_write(socket->conn, scratch->data, scratch->len);
        }
        conn_release(socket->conn);
        conn_close(socket->conn);
    } else if (socket->conn) {
        conn_reset(socket->conn);
    }
    http_response_free(response);
}

static void ws_send(struct peer *peer, struct bytes *data, bool binary)
{
    struct ws_socket *socket = of_peer(peer);
    uint8_t head[WS_HEAD_MAX];
    size_t len;

    if (!is_open(socket) || socket->session.close_sent)
        return;
    const uint8_t *frame = compress(socket->deflate, data, binary, &len);
    if (frame)
        conn_write(socket->conn, frame, len);
    else
        conn_write_message(socket->conn, head, frame_head(head, data, binary), data);
}

static void ws_close(struct peer *peer, uint16_t code, const char *reason, size_t len)
{
    struct ws_socket *socket = of_peer(peer);

    if (!is_open(socket))
        return;
    write_answer(socket);
    conn_group_leave(socket->conn);
    if (ws_session_close(&socket->session, code, reason, len)) {
        if (len > 0) /* without memory for it onClose does without it */
            socket->close_reason = strndup(reason, len);
        begin_closing(socket, code);
    }
    let_in(socket);
}

static size_t ws_pending(const struct peer *peer)
{
    const struct ws_socket *socket = of_peer(peer);
    return socket->conn ? conn_pending(socket->conn) : 0;
}

static void ws_resume(struct peer *peer)
{
    struct ws_socket *socket = of_peer(peer);
    if (is_open(socket))
        conn_resume(socket->conn);
}

static void ws_free(struct peer *peer)
{
    struct ws_socket *socket = of_peer(peer);
    ws_session_fini(&socket->session);
    free(socket->answer);
    free(socket->place);
    free(socket->close_reason);
    bytes_unref(socket->pong);
    free(socket);
}

static const struct peer_kind ws_kind = {
    .name = "websocket",
    .group_open = ws_group_open,
    .group_close = ws_group_close,
    .group_send = ws_group_send,
    .join = ws_join,
    .accept = ws_accept,
    .refuse = ws_refuse,
    .send = ws_send,
    .close = ws_close,
    .pending = ws_pending,
    .resume = ws_resume,
    .free = ws_free,
};

/* ---- what the client sends (struct ws_ops) ---- */

bool ws_resume_inflating(struct edge *edge)
{
    ws_deflate_turn();
    list_each_safe(link, &edge->inflating) {
        struct ws_socket *socket = of_peer(container_of(link, struct peer, waiting));
        if (is_open(socket) && !socket->closing)
            conn_resume(socket->conn);
        else
            list_remove(link);
    }
    return !list_empty(&edge->inflating);
}

/* Has a compressed message of the socket to wait for another turn? Those that wait already come first. */
static bool has_to_wait(const struct ws_socket *socket)
{
    const struct ws_session *session = &socket->session;
    bool behind = !list_linked(&socket->peer.waiting) && !list_empty(&socket->edge->inflating);

    return !socket->closing && session->opcode && session->compressed && (behind || !ws_inflate_ready());
}

static void session_on_message(struct ws_session *session, const uint8_t *data, size_t len, bool binary)
{
    room_message(&ws_socket_of(session)->peer, data, len, binary);
}

static bool session_ready(struct ws_session *session)
{
    struct ws_socket *socket = ws_socket_of(session);
    struct list *link = &socket->peer.waiting;

    if (has_to_wait(socket)) {
        if (!list_linked(link)) /* else it keeps its place */
            list_push(&socket->edge->inflating, link);
    } else {
        list_remove(link);
        if (socket->closing || room_peer_ready(&socket->peer))
            return true;
    }
    if (!socket->held_since)
        socket->held_since = loop_now(socket->edge->net->loop);
    conn_pause(socket->conn);
    return false;
}

static void session_on_close(struct ws_session *session, uint16_t code, const char *reason, size_t len)
{
    struct ws_socket *socket = ws_socket_of(session);
    report_end(socket, code, reason, len, true);
    if (session->trailing)
        conn_close(socket->conn);
    else
        conn_finish(socket->conn); /* no data follows a Close frame (RFC 6455 §5.5.1) */
}

static void session_on_fail(struct ws_session *session, uint16_t code, const char *text)
{
    struct ws_socket *socket = ws_socket_of(session);
    if (code == 1008)
        socket->edge->counters->sockets_over_rate++;
    else
        socket->edge->counters->sockets_protocol_errors++;
    silence(socket);
    room_error(&socket->peer, text);
    report_end(socket, code, text, strlen(text), false);
    conn_close(socket->conn);
}

static void session_write(struct ws_session *session, const void *data, size_t len)
{
    struct ws_socket *socket = ws_socket_of(session);
    if (is_open(socket))
        conn_write(socket->conn, data, len);
}

static const struct ws_ops session_ops = {
    .on_message = session_on_message,
    .on_payload = ws_bound_payload,
    .on_ping = ws_bound_ping,
    .on_pong = ws_bound_pong,
    .on_close = session_on_close,
    .on_fail = session_on_fail,
    .write = session_write,
    .ready = session_ready,
};

/* ---- the connection (struct conn_ops) ---- */

static size_t ws_on_read(struct conn *conn, uint8_t *data, size_t len)
{
    struct ws_socket *socket = conn->user;
    socket->unanswered = 0;
    size_t used = ws_session_feed(&socket->session, data, len);
    ws_answer_ping(socket);
    return used;
}

static void ws_on_drain(struct conn *conn)
{
    ws_answer_ping(conn->user);
}

static void ws_on_end(struct conn *conn)
{
    lost(conn->user);
    conn_close(conn);
}

/* A reset is how clients vanish; anything else is told to onError. */
static void ws_on_error(struct conn *conn, int error)
{
    struct ws_socket *socket = conn->user;
    if (error != UV_ECONNRESET && error != UV_EPIPE)
        room_error(&socket->peer, uv_strerror(error));
    lost(socket);
}

static void ws_on_overflow(struct conn *conn)
{
    static const char text[] = "Too much waits to be sent to this connection";
    struct ws_socket *socket = conn->user;

    socket->edge->counters->sockets_slow++;
    report_end(socket, 1013, text, sizeof text - 1, false);
    if (socket->closing || !socket->accepted) { /* our close, or even the 101, would be dropped */
        conn_reset(conn);
        return;
    }
    conn_drop_queued(conn, ws_frame_edge);
    if (ws_session_close(&socket->session, 1013, text, sizeof text - 1))
        begin_closing(socket, 1013);
}

static void ws_on_close(struct conn *conn)
{
    struct ws_socket *socket = conn->user;

    list_remove(&socket->link);
    list_remove(&socket->peer.waiting); /* to inflate, which it does without a room too */
    lost(socket);
    socket->conn = NULL;
    peer_unref(&socket->peer);
}

static const struct conn_ops ws_conn_ops = {
    .on_read = ws_on_read,
    .on_end = ws_on_end,
    .on_error = ws_on_error,
    .on_overflow = ws_on_overflow,
    .on_drain = ws_on_drain,
    .on_close = ws_on_close,
};

/* Party and room for the log: a socket that is let in only to be closed has no room any more. NULL: no memory. */
static char *place_of(const struct ws_opening *opening)
{
    struct span party = opening->party, room = opening->room;
    char *place = malloc(party.len + room.len + 2);

    if (place) {
        memcpy(place, party.ptr, party.len);
        place[party.len] = '\0';
        memcpy(place + party.len + 1, room.ptr, room.len);
        place[party.len + 1 + room.len] = '\0';
    }
    return place;
}

struct ws_socket *ws_socket_new(struct edge *edge, const struct ws_opening *opening)
{
    struct ws_socket *socket = NULL;

    if (!opening->id || !opening->uri || !opening->answer || !(socket = calloc(1, sizeof *socket)))
        return NULL;
    socket->answer = strdup(opening->answer);
    if (!socket->answer || peer_set_names(&socket->peer, opening->id, opening->uri, opening->remote) != 0) {
        free(socket->answer);
        free(socket);
        return NULL;
    }
    socket->peer.kind = &ws_kind;
    socket->peer.refs = 1;
    socket->edge = edge;
    socket->deflate = opening->deflate;
    socket->place = log_enabled(LOG_INFO) ? place_of(opening) : NULL;
    return socket;
}

void ws_socket_attach(struct ws_socket *socket, struct conn *conn)
{
    struct edge *edge = socket->edge;

    socket->conn = conn;
    ws_session_init(&socket->session, &session_ops, edge->config->limits.message);
    socket->session.deflate = socket->deflate > 0;
    list_push(&edge->sockets, &socket->link);
    conn_set_owner(conn, &ws_conn_ops, socket);
    conn_hold(conn);
    conn_pause(conn);
}

void ws_socket_shut(struct ws_socket *socket, uint16_t code, const char *reason)
{
    if (socket->conn)
        ws_close(&socket->peer, code, reason, strlen(reason));
}
