#include "edge/http_conn.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "edge/before.h"
#include "edge/error_page.h"
#include "edge/origin.h"
#include "edge/proxy.h"
#include "edge/relay.h"
#include "edge/static.h"
#include "http/writer.h"

#include <stdio.h>
#include <stdlib.h>

/* Requests in a row for rooms of one other thread, after which the connection moves there. */
#define AWAY_RUN 4u

/* Bytes of further requests that may come while an answer of unknown length is being sent. With more, nothing is
 * read, and the client's end is seen when something is written to it, or after idleTimeout. */
#define AHEAD_MAX 65536u

/* ns of a turn for requests that are answered at once. When it is used up each connection has one in a turn: a client
 * that sends thousands in a row holds up nobody, and one that sends few does not notice. */
#define ANSWERING_TURN 4000000u

/* ---- life ---- */

static void http_conn_free(struct http_conn *http)
{
    list_remove(&http->link);
    list_remove(&http->waiting);
    intake_end(http->edge, &http->intake);
    http_parser_fini(&http->parser);
    buf_fini(&http->label);
    free(http);
}

struct conn *http_conn_detach(struct http_conn *http)
{
    struct conn *conn = http->conn;
    http->conn = NULL;
    conn_set_timer(conn, NULL, 0);
    if (!http->reading) /* else on_read does it */
        http_conn_free(http);
    return conn;
}

/* ---- deadlines ---- */

static void on_deadline(struct conn *conn);

/* The phase's time begins; 0: it has none. The timer is moved only when it would be late. */
void http_conn_enter(struct http_conn *http, enum http_phase phase, uint64_t ms)
{
    uint64_t now = loop_now(http->edge->net->loop);

    http->phase = (uint8_t)phase;
    http->deadline = ms ? now + ms : UINT64_MAX;
    if (http->deadline < http->armed) {
        http->armed = http->deadline;
        conn_set_timer(http->conn, on_deadline, ms);
    }
}

/* ---- answers ---- */

void http_conn_respond(struct http_conn *http, struct http_response *response, bool close)
{
    http->phase = HTTP_PHASE_IDLE;
    http_conn_answer(http, response, close);
    if (!http->conn)
        http_conn_free(http);
    else if (!http->reading && http->phase != HTTP_PHASE_BUSY)
        conn_resume(http->conn);
}

/* The room has answered. */
static void on_respond(struct exchange *exchange, struct http_response *response)
{
    struct http_conn *http = container_of(exchange, struct http_conn, exchange);
    http_conn_respond(http, response, !http->keep_alive);
}

/* ---- requests ---- */

static struct http_response *broken_response(const struct http_problem *broken)
{
    struct http_response *response = http_response_text(500, "The project can't be loaded");
    if (response)
        response->problem = http_problem_copy(broken);
    return response;
}

struct http_response *route_refusal(struct edge *edge, enum route_kind kind, const struct route *route,
                                    struct party **party)
{
    char text[512];

    *party = NULL;
    if (edge->broken)
        return broken_response(edge->broken);
    if (kind == ROUTE_NONE)
        return http_response_text(404, "Not found");
    *party = edge->find_party(edge->user, route->party);
    if (!*party) {
        snprintf(text, sizeof text, "Party %.*s not found", (int)route->party.len, route->party.ptr);
        return http_response_text(404, text);
    }
    if (kind == ROUTE_WRONG)
        return http_response_text(400, route->reason);
    return NULL;
}

static struct http_response *preflight_response(void)
{
    static const char headers[] = CORS_PREFLIGHT_HEADERS;
    struct http_response *response = http_response_new(204);
    if (response)
        response->headers = bytes_copy(headers, sizeof headers - 1);
    return response;
}

/* OPTIONS *: about the server as a whole (RFC 9110 §9.3.7). */
static struct http_response *options_response(void)
{
    static const char headers[] = "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
    struct http_response *response = http_response_new(204);
    if (response)
        response->headers = bytes_copy(headers, sizeof headers - 1);
    return response;
}

/* The room lives on another thread: the request goes there and its answer comes back. A connection whose
 * requests all go there moves to it; one that names a new room each time, as a proxy's does, had better stay. */
static void send_away(struct http_conn *http, struct http_request *request, struct edge *home,
                      struct route *route)
{
    if (http->away != home)
        http->away_run = 0;
    http->away = home;
    bool may_move = http->conn && http->conn->state == CONN_OPEN;
    if (++http->away_run > AWAY_RUN && may_move && relay_connection(http, request, home, route) == 0)
        return;
    relay_request(http, request, home, route);
}

void http_conn_admit(struct http_conn *http, struct http_request *request, struct route *route)
{
    struct edge *edge = http->edge;
    struct edge *home = edge_home(edge, route->party, route_room(route));
    struct party *party;

    struct http_response *refusal = route_refusal(edge, ROUTE_ROOM, route, &party);
    if (request->upgrade) {
        if (party && !refusal) {
            upgrade_admit(http, request, party, route);
            return;
        }
        upgrade_refuse(http, request->path, refusal);
        http_request_free(request);
    } else if (!party || refusal) {
        http_request_free(request);
        on_respond(&http->exchange, refusal);
    } else if (home != edge) {
        send_away(http, request, home, route);
    } else {
        http->away = NULL;
        edge_request(edge, party, route, request, &http->exchange);
    }
}

/* The request is complete: what its answer will have to know of it. */
static void begin_request(struct http_conn *http, const struct http_request *request,
                          const struct route *route)
{
    http->started = clock_monotonic_ns();
    http->phase = HTTP_PHASE_BUSY;
    http->deadline = UINT64_MAX;
    http->head_only = span_equal(request->method, SPAN("HEAD"));
    http->keep_alive = request->keep_alive;
    http->old = request->minor == 0;
    http->html = http->edge->config->dev && !request->upgrade && error_page_wants_html(request);
    if (!request->upgrade)
        http_answer_label(http, request, route);
}

static void dispatch(struct http_conn *http, struct http_request *request)
{
    struct edge *edge = http->edge;
    struct http_response *refusal = NULL;
    struct party *party = NULL;
    struct route route;
    bool outside = false; /* of the rooms */

    enum route_kind kind = route_path(request->path, &route);
    begin_request(http, request, &route);
    if (span_equal(request->target, SPAN("*")))
        refusal = options_response();
    else if (edge->config->cors && cors_is_preflight(request))
        refusal = preflight_response();
    else if (kind == ROUTE_NONE && !edge->broken)
        outside = true;
    else
        refusal = route_refusal(edge, kind, &route, &party);

    if (outside) {
        static_serve(edge, request, &http->exchange);
    } else if (refusal || !party) {
        http_request_free(request);
        on_respond(&http->exchange, refusal);
    } else if (before_wanted(edge, party, HOOK_REQUEST)) {
        before_ask(http, request, party, &route, NULL);
    } else {
        http_conn_admit(http, request, &route);
    }
    route_fini(&route);
}

/* ---- struct conn_ops ---- */

/* What did not become a request is answered, and the connection ends; what came of it is of no use meanwhile. */
static void refuse_with(struct http_conn *http, int status, const char *text, const char *headers)
{
    intake_end(http->edge, &http->intake);
    log_event(LOG_INFO, "request refused", log_int("status", status), log_str("reason", text));
    http_conn_answer_text(http, status, text, headers, true);
    http_parser_drop(&http->parser);
}

static void refuse(struct http_conn *http, int status, const char *text)
{
    http->edge->counters->requests_refused++;
    refuse_with(http, status, text, NULL);
}

/* May the body be read on? If not, it was refused. */
static bool may_read_body(struct http_conn *http)
{
    if (intake_note(http->edge, &http->intake, http->parser.request))
        return true;
    http->edge->counters->requests_overload++;
    refuse_with(http, 503, "The room has too much to do", "Retry-After: 1\r\n");
    return false;
}

/* What came is no request: head is where it began, if it was in a head that the mistake was found. */
static void refuse_input(struct http_conn *http, const uint8_t *head, size_t len)
{
    static const char method[] = "HEAD ";

    http->head_only = len >= sizeof method - 1 && memcmp(head, method, sizeof method - 1) == 0;
    refuse(http, http->parser.status, http->parser.text);
}

static void on_deadline(struct conn *conn)
{
    struct http_conn *http = conn->user;
    uint64_t now = loop_now(http->edge->net->loop);

    http->armed = UINT64_MAX;
    if (http->deadline == UINT64_MAX)
        return;
    if (now < http->deadline) {
        http->armed = http->deadline;
        conn_set_timer(conn, on_deadline, http->deadline - now);
        return;
    }
    switch ((enum http_phase)http->phase) {
    case HTTP_PHASE_HEAD:
        http->edge->counters->timeouts++;
        refuse(http, 408, "The request's head did not come in time");
        break;
    case HTTP_PHASE_BODY:
        http->edge->counters->timeouts++;
        refuse(http, 408, "The request's body did not come in time");
        break;
    case HTTP_PHASE_NEW:
    case HTTP_PHASE_IDLE: conn_close(conn); break;
    case HTTP_PHASE_BUSY: http_answer_look(http); break;
    }
}

/* A head has come: will the body be taken? */
static void on_head(struct http_conn *http, size_t rest)
{
    struct http_parser *parser = &http->parser;

    if (!parser->in_body)
        return;
    if (parser->request->upgrade) {
        http->edge->counters->sockets_refused++;
        http_conn_answer_text(http, 400, "An upgrade to WebSocket can't have a body", NULL, true);
        return;
    }
    http_conn_enter(http, HTTP_PHASE_BODY, http->edge->config->limits.body_timeout);
    if (parser->expect_continue && rest == 0 && may_read_body(http))
        conn_write(http->conn, HTTP_CONTINUE, sizeof HTTP_CONTINUE - 1);
}

void http_conn_take(struct http_conn *http, struct http_request *request, struct route *route)
{
    begin_request(http, request, route);
    http_conn_admit(http, request, route);
}

static void on_request(struct http_conn *http, struct http_request *request)
{
    http->edge->counters->requests++;
    intake_end(http->edge, &http->intake);
    memcpy(request->remote, http->remote, sizeof request->remote);
    request->secure = http->conn->secure;
    proxy_apply(http->edge->config, request);
    if (request->upgrade)
        upgrade(http, request);
    else
        dispatch(http, request);
}

/* Is there more that waits for the client to take it than may? Then it has to, before it is given
 * further answers. */
static bool clogged(const struct http_conn *http)
{
    struct conn *conn = http->conn;

    if (conn_pending(conn) <= http->edge->config->limits.queue)
        return false;
    conn_pause(conn);
    if (!conn->waiting) /* it has yet to be flushed, which may be enough: asked again behind that */
        conn_resume(conn);
    return true;
}

/* The request that came was answered at once: may there be another one in this turn? */
static bool may_go_on(struct http_conn *http)
{
    struct edge *edge = http->edge;

    edge->answering += clock_monotonic_ns() - http->started;
    if (edge->answering < ANSWERING_TURN)
        return true;
    conn_pause(http->conn);
    if (!list_linked(&http->waiting))
        list_push(&edge->answered, &http->waiting);
    return false;
}

bool http_resume_answered(struct edge *edge)
{
    struct list *link;
    bool any = !list_empty(&edge->answered);

    edge->answering = 0;
    while ((link = list_pop(&edge->answered)) != NULL)
        conn_resume(container_of(link, struct http_conn, waiting)->conn);
    return any;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): other readers change the bytes in place */
static size_t http_on_read(struct conn *conn, uint8_t *data, size_t len)
{
    struct http_conn *http = conn->user;
    size_t total = 0;
    bool last = false; /* nothing follows what is read now */

    http->reading = true;
    while (http->conn && conn->state == CONN_OPEN) {
        size_t used = 0;
        if (http->phase == HTTP_PHASE_BUSY) {
            if (!http->endless || len - total > AHEAD_MAX)
                conn_pause(conn);
            break;
        }
        last = conn->ended;
        if (clogged(http)) {
            last = false;
            break;
        }
        const uint8_t *start = data + total;
        size_t head = http->parser.in_body ? 0 : len - total;
        enum http_parse result = http_parser_feed(&http->parser, start, len - total, &used);
        total += used;
        if (result == HTTP_MORE) {
            if (http->parser.in_body)
                (void)may_read_body(http);
            else if (http->parser.started && http->phase != HTTP_PHASE_HEAD)
                http_conn_enter(http, HTTP_PHASE_HEAD, http->edge->config->limits.header_timeout);
            break;
        }
        if (result == HTTP_HEAD_DONE) {
            on_head(http, len - total);
        } else if (result == HTTP_COMPLETE) {
            on_request(http, http_parser_take(&http->parser));
            if (http->conn && conn->state == CONN_OPEN && http->phase == HTTP_PHASE_IDLE && total < len &&
                !may_go_on(http)) {
                last = false;
                break;
            }
        } else {
            refuse_input(http, start, head);
        }
    }
    http->reading = false;
    if (http->conn)
        conn_read_little(conn, !http->parser.in_body);
    if (!http->conn)
        http_conn_free(http);
    else if (last && http->phase != HTTP_PHASE_BUSY)
        conn_close(conn);
    return total;
}

static void http_on_end(struct conn *conn)
{
    struct http_conn *http = conn->user;

    /* It may only have no more to ask (RFC 9112 §9.6): an answer that is being sent goes on, and one that is to
     * come does. */
    if (http->phase != HTTP_PHASE_BUSY)
        conn_close(conn);
    else if (http->sender.source)
        http_answer_doubt(http);
}

static void http_on_error(struct conn *conn, int error)
{
    (void)conn;
    (void)error;
}

static void http_on_close(struct conn *conn)
{
    struct http_conn *http = conn->user;
    http->conn = NULL;
    if (body_sender_stop(&http->sender)) {
        http->phase = HTTP_PHASE_IDLE;
        http_answer_log(http, http->status);
    }
    if (http->phase != HTTP_PHASE_BUSY)
        http_conn_free(http);
}

/* No further request is taken until what waits has left (clogged). A client that takes nothing at all is
 * idle, and ends as such. */
static void http_on_overflow(struct conn *conn)
{
    (void)conn;
}

static void http_on_drain(struct conn *conn)
{
    struct http_conn *http = conn->user;
    body_sender_drained(&http->sender);
    if (http->phase != HTTP_PHASE_BUSY)
        conn_resume(conn);
}

static const struct conn_ops http_ops = {
    .on_read = http_on_read,
    .on_end = http_on_end,
    .on_error = http_on_error,
    .on_overflow = http_on_overflow,
    .on_drain = http_on_drain,
    .on_close = http_on_close,
};

struct http_conn *http_conn_new(struct edge *edge, struct conn *conn)
{
    struct http_conn *http = calloc(1, sizeof *http);
    if (!http || http_parser_init(&http->parser, &edge->http_limits) != 0) {
        free(http);
        conn_reset(conn);
        return NULL;
    }
    http->edge = edge;
    http->conn = conn;
    http->exchange.respond = on_respond;
    http->armed = UINT64_MAX;
    list_push(&edge->http_conns, &http->link);
    conn_set_owner(conn, &http_ops, http);
    conn_read_little(conn, true);
    http_conn_enter(http, HTTP_PHASE_NEW, edge->config->limits.header_timeout);
    return http;
}

char *http_absolute_url(const struct http_request *request)
{
    const char *scheme = request->secure ? "https://" : "http://";
    struct span host = request->host.len ? request->host : SPAN("localhost");
    size_t size = strlen(scheme) + host.len + request->target.len + 1;
    char *url = malloc(size);
    if (url)
        snprintf(url, size, "%s%.*s%.*s", scheme, (int)host.len, host.ptr, (int)request->target.len,
                 request->target.ptr);
    return url;
}
