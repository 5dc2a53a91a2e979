/* Threads meet in their loops' inboxes alone (loop_post): a message carries what it is about, and whoever has
 * it owns that. */
#include "edge/relay.h"

#include "base/check.h"
#include "net/conn_move.h"

#include <errno.h>
#include <stdlib.h>

static struct loop *loop_of(const struct edge *edge)
{
    return edge->net->loop;
}

/* ---- a request that goes, and its answer that comes back ---- */

struct errand {
    struct loop_message message;
    struct exchange exchange; /* what the room answers */
    struct http_conn *http;   /* for its own thread alone */
    struct edge *from, *home;
    struct route route; /* owned; its spans lie in the request */
    struct http_request *request;
    struct http_response *response;
};

static void errand_returns(struct loop_message *message)
{
    struct errand *errand = container_of(message, struct errand, message);
    struct exchange *exchange = &errand->http->exchange;
    struct http_response *response = errand->response;

    errand->from->team->away--;
    free(errand);
    exchange->respond(exchange, response);
}

/* A struct bytes is counted without atomics: it may cross only while nobody else has it. */
static bool is_alone(const struct bytes *bytes)
{
    return !bytes || bytes->refs == 1;
}

static void on_answer(struct exchange *exchange, struct http_response *response)
{
    struct errand *errand = container_of(exchange, struct errand, exchange);

    CHECK(!response ||
          (is_alone(response->body) && is_alone(response->headers) && is_alone(response->reason)));
    if (response && response->source) {
        response->source = relay_source(errand->from, errand->home, response->source);
        if (!response->source) {
            http_response_free(response);
            response = NULL;
        }
    }
    errand->response = response;
    errand->message.fn = errand_returns;
    route_fini(&errand->route);
    loop_post(loop_of(errand->from), &errand->message);
}

static void errand_arrives(struct loop_message *message)
{
    struct errand *errand = container_of(message, struct errand, message);
    struct edge *edge = errand->home;
    struct party *party = edge->find_party(edge->user, errand->route.party);

    edge_request(edge, party, &errand->route, errand->request, &errand->exchange);
}

void relay_request(struct http_conn *http, struct http_request *request, struct edge *home,
                   struct route *route)
{
    struct errand *errand = malloc(sizeof *errand);

    if (!errand) {
        http_request_free(request);
        http->exchange.respond(&http->exchange, http_response_text(503, "Not enough memory"));
        return;
    }
    *errand = (struct errand){.message = {.fn = errand_arrives},
                              .exchange = {.respond = on_answer},
                              .http = http,
                              .from = http->edge,
                              .home = home,
                              .route = *route,
                              .request = request};
    *route = (struct route){0};
    http->edge->team->away++;
    loop_post(loop_of(home), &errand->message);
}

/* ---- a connection that moves ---- */

struct removal {
    struct loop_message message;
    struct list link;  /* in from->leaving until it has left */
    struct soon leave; /* behind on_read, which the connection is in */
    struct edge *from, *home;
    struct conn *conn; /* until it has left */
    struct conn_parcel parcel;
    struct http_request *request;  /* owned */
    struct route route;            /* owned; its spans may lie in the request */
    char remote[ADDRESS_TEXT_MAX]; /* the peer's address, as its struct http_conn had it */
};

static void removal_free(struct removal *removal)
{
    route_fini(&removal->route);
    list_remove(&removal->link);
    loop_soon_cancel(&removal->leave);
    http_request_free(removal->request);
    free(removal);
}

static void removal_arrives(struct loop_message *message)
{
    struct removal *removal = container_of(message, struct removal, message);
    struct conn *conn = conn_import(removal->home->net, &removal->parcel);
    struct http_conn *http = http_conn_new(removal->home, conn);

    if (http) {
        memcpy(http->remote, removal->remote, sizeof http->remote);
        conn_pause(conn); /* as where it was read: nothing is before the request is answered */
        http_conn_take(http, removal->request, &removal->route);
        removal->request = NULL;
        conn_start(conn);
    }
    removal_free(removal);
}

static void leave(struct soon *soon)
{
    struct removal *removal = container_of(soon, struct removal, leave);
    struct conn *conn = removal->conn;

    if (conn->state != CONN_OPEN)
        return; /* it was reset meanwhile; on_close frees the removal */
    int rc = conn_export(conn, &removal->parcel);
    if (rc == -EAGAIN)
        return; /* on_drain follows */
    if (rc != 0) {
        conn_reset(conn); /* on_close frees the removal */
        return;
    }
    removal->conn = NULL;
    list_remove(&removal->link);
    removal->message.fn = removal_arrives;
    loop_post(loop_of(removal->home), &removal->message);
}

static void removal_on_drain(struct conn *conn)
{
    struct removal *removal = conn->user;
    loop_soon(loop_of(removal->from), &removal->leave);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): a struct conn_ops has it so */
static size_t removal_on_read(struct conn *conn, uint8_t *data, size_t len)
{
    (void)conn;
    (void)data;
    (void)len;
    return 0; /* never: it is paused */
}

static void removal_on_error(struct conn *conn, int error)
{
    (void)conn;
    (void)error; /* it is reset after this */
}

/* Answers to earlier requests wait for a client that does not take them. */
static void on_timeout(struct conn *conn)
{
    struct removal *removal = conn->user;
    removal->from->counters->timeouts++;
    conn_reset(conn);
}

static void removal_on_close(struct conn *conn)
{
    removal_free(conn->user);
}

static void removal_on_end(struct conn *conn)
{
    conn_close(conn);
}

static const struct conn_ops removal_ops = {
    .on_read = removal_on_read,
    .on_end = removal_on_end,
    .on_error = removal_on_error,
    .on_drain = removal_on_drain,
    .on_close = removal_on_close,
};

int relay_connection(struct http_conn *http, struct http_request *request, struct edge *home,
                     struct route *route)
{
    struct edge *edge = http->edge;
    struct removal *removal = malloc(sizeof *removal);

    if (!removal)
        return -ENOMEM;
    *removal = (struct removal){
        .leave = {.fn = leave}, .from = edge, .home = home, .request = request, .route = *route};
    *route = (struct route){0};
    memcpy(removal->remote, http->remote, sizeof removal->remote);
    removal->conn = http_conn_detach(http);
    list_push(&edge->leaving, &removal->link);
    conn_set_owner(removal->conn, &removal_ops, removal);
    conn_pause(removal->conn);
    conn_set_timer(removal->conn, on_timeout, edge->config->limits.idle_timeout);
    loop_soon(loop_of(edge), &removal->leave);
    return 0;
}

void relay_reset_all(struct edge *edge)
{
    list_each_safe(link, &edge->leaving)
        conn_reset(container_of(link, struct removal, link)->conn);
}
