/* The opening handshake (RFC 6455 §4.2): what is wrong with it is answered with a status; what is
 * right becomes a peer of the room. */
#include "base/log.h"
#include "base/random.h"
#include "base/utf8.h"
#include "edge/before.h"
#include "edge/http_conn.h"
#include "edge/origin.h"
#include "edge/relay.h"
#include "edge/ws_socket.h"
#include "http/field.h"
#include "ws/handshake.h"

#include <stdio.h>
#include <stdlib.h>

struct refusal {
    int status;
    const char *text, *headers;
};

static size_t count_headers(const struct http_request *request, struct span name)
{
    size_t n = 0;
    for (size_t i = 0; i < request->n_headers; i++)
        n += span_equal_nocase(request->headers[i].name, name);
    return n;
}

/* What the client and we agree on to compress with. -EINVAL: its offers are not well-formed. */
static int choose_deflate(const struct config *config, const struct http_request *request,
                          struct ws_deflate *agreed)
{
    int rc = 0;

    *agreed = (struct ws_deflate){0};
    for (size_t i = 0; config->deflate && rc == 0 && i < request->n_headers; i++) {
        if (span_equal_nocase(request->headers[i].name, SPAN("Sec-WebSocket-Extensions")))
            rc = ws_deflate_negotiate(agreed, request->headers[i].value);
    }
    return rc;
}

/* What is wrong with the handshake itself; status 0: nothing. */
static struct refusal check_handshake(const struct config *config, const struct http_request *request)
{
    struct ws_deflate deflate;

    if (request->minor == 0)
        return (struct refusal){400, "An upgrade to WebSocket needs HTTP/1.1", NULL};
    if (!span_equal(request->method, SPAN("GET")))
        return (struct refusal){400, "An upgrade to WebSocket needs the method GET", NULL};
    if (count_headers(request, SPAN("Sec-WebSocket-Key")) != 1 ||
        !ws_key_valid(http_request_header(request, "sec-websocket-key")))
        return (struct refusal){400,
                                "An upgrade to WebSocket needs one Sec-WebSocket-Key of 16 bytes in base64",
                                NULL};
    if (count_headers(request, SPAN("Sec-WebSocket-Version")) != 1 ||
        !span_equal(http_request_header(request, "sec-websocket-version"), SPAN("13")))
        return (struct refusal){426, "Only version 13 of the WebSocket protocol is supported",
                                "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"};
    if (choose_deflate(config, request, &deflate) != 0)
        return (struct refusal){400, "Sec-WebSocket-Extensions is no list of extensions", NULL};
    if (count_headers(request, SPAN("Origin")) > 1 || !origin_allowed(config, request))
        return (struct refusal){403, "Pages of this origin may not connect (see allowedOrigins)", NULL};
    return (struct refusal){0};
}

/* The id of the connection: the query's _pk, else a random UUID. The caller's; NULL and a refusal
 * when it can't be one. */
static char *connection_id(const struct http_request *request, struct refusal *refusal)
{
    struct span rest = request->query;
    struct buf name = {0}, value = {0};
    char *id = NULL;
    int rc;

    *refusal = (struct refusal){503, "Not enough memory", NULL};
    while ((rc = http_query_next(&rest, &name, &value)) > 0) {
        if (!span_equal((struct span){(const char *)name.data, name.len}, SPAN("_pk")))
            continue;
        if (value.len == 0)
            break;
        if (value.len > PEER_ID_MAX || !utf8_valid(value.data, value.len) ||
            memchr(value.data, '\0', value.len)) {
            *refusal = (struct refusal){400, "_pk is an id of up to 256 bytes of UTF-8", NULL};
            goto out;
        }
        if (buf_append(&value, "", 1) == 0) {
            id = (char *)value.data;
            value = (struct buf){0};
        }
        goto out;
    }
    if (rc < 0)
        goto out;
    id = malloc(UUID_LEN + 1);
    if (id)
        random_uuid(id);
out:
    buf_fini(&name);
    buf_fini(&value);
    return id;
}

/* Does the client offer this sub-protocol? Other than in most lists of tokens, case counts. */
static bool offers(const struct http_request *request, struct span name)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        struct span rest = request->headers[i].value, element;
        if (!span_equal_nocase(request->headers[i].name, SPAN("Sec-WebSocket-Protocol")))
            continue;
        while (http_list_next(&rest, &element)) {
            if (span_equal(element, name))
                return true;
        }
    }
    return false;
}

/* The first of our sub-protocols that the client offers; ptr NULL: none. */
static struct span choose_protocol(const struct config *config, const struct http_request *request)
{
    for (size_t i = 0; i < config->subprotocols.count; i++) {
        struct span name = span_of(config->subprotocols.items[i]);
        if (offers(request, name))
            return name;
    }
    return (struct span){NULL, 0};
}

static char *accept_answer(const struct config *config, const struct http_request *request,
                           const struct ws_deflate *deflate)
{
    char key[WS_ACCEPT_LEN + 1], extensions[WS_DEFLATE_ANSWER_MAX];
    struct span protocol = choose_protocol(config, request);
    size_t size = 256 + protocol.len + sizeof extensions;
    char *answer = malloc(size);

    if (!answer)
        return NULL;
    ws_accept_key(http_request_header(request, "sec-websocket-key"), key);
    int len = snprintf(answer, size,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\n",
                       key);
    if (protocol.ptr)
        len += snprintf(answer + len, size - (size_t)len, "Sec-WebSocket-Protocol: %.*s\r\n",
                        (int)protocol.len, protocol.ptr);
    ws_deflate_answer(deflate, extensions);
    if (extensions[0])
        len += snprintf(answer + len, size - (size_t)len, "Sec-WebSocket-Extensions: %s\r\n", extensions);
    snprintf(answer + len, size - (size_t)len, "\r\n");
    return answer;
}

static void log_refusal(struct http_conn *http, struct span path, const struct http_response *response)
{
    http->edge->counters->sockets_refused++;
    if (response && response->body)
        log_event(LOG_INFO, "socket refused", log_text("path", path), log_int("status", response->status),
                  log_text("reason", (struct span){(const char *)response->body->data, response->body->len}));
}

void upgrade_refuse(struct http_conn *http, struct span path, struct http_response *response)
{
    log_refusal(http, path, response);
    http_conn_respond(http, response, true);
}

static void refuse(struct http_conn *http, struct http_request *request, struct http_response *response)
{
    http->head_only = span_equal(request->method, SPAN("HEAD"));
    upgrade_refuse(http, request->path, response);
    http_request_free(request);
}

static struct http_response *refusal_response(const struct refusal *refusal)
{
    struct http_response *response = http_response_text(refusal->status, refusal->text);
    if (response && refusal->headers)
        response->headers = bytes_copy(refusal->headers, strlen(refusal->headers));
    return response;
}

/* What the socket will be made of. The strings are the caller's; without an id there is a refusal. */
static struct ws_opening open_with(const struct config *config, const struct http_request *request,
                                   struct refusal *refusal)
{
    struct ws_opening opening = {.id = connection_id(request, refusal), .remote = request->remote};
    struct ws_deflate deflate;

    if (!opening.id)
        return opening;
    opening.uri = http_absolute_url(request);
    if (choose_deflate(config, request, &deflate) == 0) /* it was checked before */
        opening.answer = accept_answer(config, request, &deflate);
    opening.deflate = deflate.window;
    return opening;
}

/* Makes the peer and gives it to its room. */
static void admit(struct http_conn *http, struct http_request *request, struct party *party,
                  const struct route *route)
{
    struct edge *edge = http->edge;
    struct refusal refusal;
    struct ws_opening opening = open_with(edge->config, request, &refusal);

    if (!opening.id) {
        refuse(http, request, refusal_response(&refusal));
        return;
    }
    struct span id = route_room(route);
    request->subpath = route->subpath;
    opening.party = route->party;
    opening.room = id;
    struct ws_socket *socket = ws_socket_new(edge, &opening);
    struct room *room =
        socket && !edge->rooms->stopping ? rooms_get(edge->rooms, party, route->party, id) : NULL;
    if (room) {
        ws_socket_attach(socket, http_conn_detach(http));
        room_connect(room, &socket->peer, request);
    } else {
        if (socket)
            peer_unref(&socket->peer);
        refuse(http, request, http_response_text(503, "Service unavailable"));
    }
    free(opening.id);
    free(opening.uri);
    free(opening.answer);
}

void upgrade_admit(struct http_conn *http, struct http_request *request, struct party *party,
                   struct route *route)
{
    struct edge *edge = http->edge;
    struct edge *home = edge_home(edge, route->party, route_room(route));

    if (home == edge)
        admit(http, request, party, route);
    else if (relay_connection(http, request, home, route) != 0)
        refuse(http, request, http_response_text(503, "Service unavailable"));
}

/* ---- refusing by a close ---- */

bool upgrade_refusal_init(struct upgrade_refusal *refusal, const struct config *config,
                          const struct http_request *request)
{
    struct refusal none;
    struct ws_opening opening = open_with(config, request, &none);

    *refusal = (struct upgrade_refusal){.id = opening.id,
                                        .uri = opening.uri,
                                        .answer = opening.answer,
                                        .deflate = opening.deflate};
    memcpy(refusal->remote, request->remote, sizeof refusal->remote);
    return opening.id && opening.uri && opening.answer;
}

void upgrade_refusal_fini(struct upgrade_refusal *refusal)
{
    if (!refusal)
        return;
    free(refusal->id);
    free(refusal->uri);
    free(refusal->answer);
}

/* The text of a response, as the reason of a close may have it (RFC 6455 §5.5). */
static struct span reason_of(const struct http_response *response)
{
    struct span text = {"", 0};

    if (response->problem && response->problem->message)
        text = span_of(response->problem->message);
    else if (response->body)
        text = (struct span){(const char *)response->body->data, response->body->len};
    text.len = utf8_cut(text.ptr, text.len, 123);
    return utf8_valid(text.ptr, text.len) ? text : SPAN("");
}

void upgrade_refuse_closing(struct http_conn *http, struct span path, struct http_response *response,
                            const struct upgrade_refusal *refusal)
{
    struct ws_opening opening = {.id = refusal->id,
                                 .uri = refusal->uri,
                                 .answer = refusal->answer,
                                 .deflate = refusal->deflate,
                                 .remote = refusal->remote};
    bool open = http->conn && http->conn->state == CONN_OPEN;
    struct route route;

    opening.party = opening.room = SPAN("");
    if (open && route_path(path, &route) == ROUTE_ROOM) {
        opening.party = route.party;
        opening.room = route_room(&route);
    }
    struct ws_socket *socket = open ? ws_socket_new(http->edge, &opening) : NULL;
    if (open)
        route_fini(&route);

    if (!socket) {
        upgrade_refuse(http, path, response);
        return;
    }
    struct span reason = reason_of(response);
    log_refusal(http, path, response);
    ws_socket_attach(socket, http_conn_detach(http));
    socket->peer.kind->close(&socket->peer, response->status == 401 ? 4401 : 4403, reason.ptr, reason.len);
    http_response_free(response);
}

/* ---- the request ---- */

/* The party decides. */
static void ask(struct http_conn *http, struct http_request *request, struct party *party,
                struct route *route)
{
    const struct config *config = http->edge->config;
    struct upgrade_refusal *closing = NULL;
    struct refusal refusal;
    char *id = connection_id(request, &refusal);

    free(id);
    if (id && config->reject_with_close) {
        closing = calloc(1, sizeof *closing);
        if (!closing || !upgrade_refusal_init(closing, config, request)) {
            upgrade_refusal_fini(closing);
            free(closing);
            closing = NULL;
            id = NULL;
            refusal = (struct refusal){503, "Not enough memory", NULL};
        }
    }
    if (id)
        before_ask(http, request, party, route, closing);
    else
        refuse(http, request, refusal_response(&refusal));
}

void upgrade(struct http_conn *http, struct http_request *request)
{
    struct edge *edge = http->edge;
    struct party *party = NULL;
    struct route route;

    http->phase = HTTP_PHASE_BUSY;
    http->deadline = UINT64_MAX;
    http->keep_alive = http->html = false;
    struct refusal wrong = check_handshake(edge->config, request);
    enum route_kind kind = route_path(request->path, &route);
    struct http_response *refusal =
        wrong.status ? refusal_response(&wrong) : route_refusal(edge, kind, &route, &party);
    if (!party || refusal)
        refuse(http, request, refusal);
    else if (before_wanted(edge, party, HOOK_CONNECT))
        ask(http, request, party, &route);
    else
        upgrade_admit(http, request, party, &route);
    route_fini(&route);
}
