#include "edge/edge.h"

#include "base/check.h"
#include "base/log.h"
#include "edge/http_conn.h"
#include "edge/relay.h"
#include "edge/static_file.h"
#include "edge/ws_socket.h"

#include <errno.h>

static bool on_late(struct loop_hook *hook)
{
    struct edge *edge = container_of(hook, struct edge, late);
    bool more = http_resume_answered(edge);
    return ws_resume_inflating(edge) || more;
}

void edge_init(struct edge *edge, struct net *net, struct rooms *rooms, const struct config *config,
               struct counters *counters, struct party *(*find_party)(void *, struct span), void *user)
{
    *edge = (struct edge){
        .net = net,
        .rooms = rooms,
        .counters = counters,
        .find_party = find_party,
        .user = user,
    };
    list_init(&edge->http_conns);
    list_init(&edge->sockets);
    list_init(&edge->leaving);
    list_init(&edge->inflating);
    list_init(&edge->answered);
    edge->late.fn = on_late;
    loop_hook_add(&net->loop->late, &edge->late);
    edge_adopt(edge, config, NULL);
}

void edge_adopt(struct edge *edge, const struct config *config, const struct http_problem *broken)
{
    edge->config = config;
    edge->http_limits = (struct http_limits){.url = (size_t)config->limits.url,
                                             .headers = (size_t)config->limits.headers,
                                             .body = (size_t)config->limits.body};
    edge->net->queue_limit = (size_t)config->limits.queue;
    edge->broken = broken;
}

int edge_serve(struct edge *edge, int public_fd)
{
    static_folder_unref(edge->files);
    edge->files = public_fd >= 0 ? static_folder_new(public_fd) : NULL;
    return public_fd >= 0 && !edge->files ? -ENOMEM : 0;
}

void edge_fini(struct edge *edge)
{
    CHECK(list_empty(&edge->http_conns) && list_empty(&edge->sockets) && list_empty(&edge->leaving));
    loop_hook_remove(&edge->late);
    static_folder_unref(edge->files);
    map_fini(&edge->intakes);
    buf_fini(&edge->scratch);
}

struct edge *edge_home(struct edge *edge, struct span party, struct span room)
{
    struct edge_team *team = edge->team;

    if (!team || team->count == 1)
        return edge;
    return team->edges[rooms_share_of(party, room, team->count)];
}

void edge_request(struct edge *edge, struct party *party, const struct route *route,
                  struct http_request *request, struct exchange *exchange)
{
    struct rooms *rooms = edge->rooms;
    struct span id = route_room(route);
    struct room *room = party && !rooms->stopping ? rooms_get(rooms, party, route->party, id) : NULL;

    if (room) {
        request->subpath = route->subpath;
        room_request(room, request, exchange);
        return;
    }
    http_request_free(request);
    if (!party)
        exchange->respond(exchange, http_response_text(404, "Not found"));
    else
        exchange->respond(exchange, http_response_text(503, rooms->stopping ? "The server is stopping"
                                                                            : "Not enough memory"));
}

void edge_accept(struct edge *edge, struct conn *conn, bool full)
{
    struct http_conn *http = http_conn_new(edge, conn);
    if (!http)
        return;
    conn_remote_address(conn, http->remote); /* now: behind a reset nobody could tell */
    if (full)
        http_conn_answer_text(http, 503, "Too many connections", "Retry-After: 5\r\n", true);
}

/* Closes the connections whose next request will not be served: those between two requests, or (partial)
 * those that have sent a part of one too. */
static void close_http(struct edge *edge, bool partial)
{
    list_each_safe(link, &edge->http_conns) {
        struct http_conn *http = container_of(link, struct http_conn, link);
        bool between = http->phase == HTTP_PHASE_IDLE || http->phase == HTTP_PHASE_NEW;
        if (http->conn && (between || (partial && http->phase != HTTP_PHASE_BUSY)))
            conn_close(http->conn);
    }
}

void edge_stop_http(struct edge *edge)
{
    edge->stopping = true;
    close_http(edge, false);
}

void edge_stop_sockets(struct edge *edge)
{
    close_http(edge, true);
    list_each_safe(link, &edge->sockets)
        ws_socket_shut(container_of(link, struct ws_socket, link), 1001, "The server is stopping");
}

void edge_reset_all(struct edge *edge)
{
    list_each_safe(link, &edge->http_conns) {
        struct http_conn *http = container_of(link, struct http_conn, link);
        if (http->conn)
            conn_reset(http->conn);
    }
    list_each_safe(link, &edge->sockets) {
        struct ws_socket *socket = container_of(link, struct ws_socket, link);
        if (socket->conn)
            conn_reset(socket->conn);
    }
    relay_reset_all(edge);
}
