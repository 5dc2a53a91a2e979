/* The answers of an HTTP connection: how they are written, what the log says of them, and whether a client to whom one is
 * being sent in pieces is still there. */
#include "edge/http_conn.h"

#include "base/clock.h"
#include "base/log.h"
#include "edge/error_page.h"
#include "edge/origin.h"
#include "http/writer.h"

#include <stdio.h>

/* Bodies up to this size are copied behind their head; larger ones are shared. */
#define COPY_MAX 16384u

/* ms after a client's FIN until it is looked for the first time whether it has gone; then twice that, and so on. */
#define LOOK_MS 50u

void http_answer_label(struct http_conn *http, const struct http_request *request, const struct route *route)
{
    const struct span parts[] = {request->method, request->path, route->party, route_room(route)};

    http->label.len = 0;
    if (!log_enabled(LOG_INFO))
        return;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (buf_append(&http->label, parts[i].ptr, parts[i].len) != 0 ||
            buf_append(&http->label, "", 1) != 0) {
            http->label.len = 0; /* all of it or none */
            return;
        }
    }
}

void http_answer_log(struct http_conn *http, int status)
{
    if (http->label.len == 0)
        return;
    const char *method = (const char *)http->label.data;
    const char *path = method + strlen(method) + 1;
    const char *party = path + strlen(path) + 1;
    const char *room = party + strlen(party) + 1;
    uint64_t us = (clock_monotonic_ns() - http->started) / 1000;
    double ms = (double)us / 1000.0;

    if (*room)
        log_event(LOG_INFO, "request", log_str("method", method), log_str("path", path),
                  log_int("status", status), log_real("ms", ms), log_str("party", party),
                  log_str("room", room));
    else
        log_event(LOG_INFO, "request", log_str("method", method), log_str("path", path),
                  log_int("status", status), log_real("ms", ms));
    http->label.len = 0;
}

static void on_sent(struct body_sender *sender, bool whole);

/* Head and body leave in one piece, unless the body comes in pieces: then true, and on_sent follows. */
static bool write_response(struct http_conn *http, struct http_response *response, bool close)
{
    struct edge *edge = http->edge;
    struct http_write_options options = {
        .head_only = http->head_only,
        .close = close,
        .chunked = !http->old,
        .keep_alive = !close && http->old,
        .extra = cors_headers(edge->config, response),
    };
    struct bytes *body = http_write_body(response, &options);

    edge->scratch.len = 0;
    bool copied = body && body->len <= COPY_MAX;
    if (http_write_head(&edge->scratch, response, &options) != 0 ||
        (copied && buf_append(&edge->scratch, body->data, body->len) != 0)) {
        conn_reset(http->conn);
        return false;
    }
    if (body && !copied)
        conn_write_message(http->conn, edge->scratch.data, edge->scratch.len, body);
    else
        conn_write(http->conn, edge->scratch.data, edge->scratch.len);
    struct http_source *source = http_write_source(response, &options);
    if (source) {
        response->source = NULL;
        http->endless = source->length == HTTP_LENGTH_UNKNOWN;
        body_sender_start(&http->sender, http->conn, source, http->endless && !http->old, on_sent);
    }
    return source != NULL;
}

/* All of the answer was written. */
static void finish_answer(struct http_conn *http, int status, bool close)
{
    http_answer_log(http, status);
    if (close)
        conn_close(http->conn);
    else
        http_conn_enter(http, HTTP_PHASE_IDLE, http->edge->config->limits.idle_timeout);
}

/* Will no further request come? For one that is being read http_on_read knows. */
static bool nothing_follows(const struct http_conn *http)
{
    return !http->reading && http->conn->ended && !http->conn->left;
}

static void on_sent(struct body_sender *sender, bool whole)
{
    struct http_conn *http = container_of(sender, struct http_conn, sender);

    if (!whole && !http->endless)
        log_event(LOG_WARN, "a static file became shorter while it was sent",
                  log_str("path", http->label.len ? strchr((char *)http->label.data, '\0') + 1 : ""));
    bool cut = !whole && http->endless && http->old; /* its end would look like that of a whole one */
    http->endless = false;
    http->phase = HTTP_PHASE_IDLE;
    finish_answer(http, http->status,
                  !whole || !http->keep_alive || http->edge->stopping || nothing_follows(http));
    if (cut)
        conn_reset(http->conn);
    conn_pause(http->conn); /* what came meanwhile is to be handed up */
    conn_resume(http->conn);
}

void http_answer_doubt(struct http_conn *http)
{
    body_sender_probe(&http->sender);
    http->look = LOOK_MS;
    http_conn_enter(http, HTTP_PHASE_BUSY, http->look);
}

/* Behind an answer of unknown length: nothing may be sent for long, but that the client goes is to be seen. */
static void watch_client(struct http_conn *http)
{
    if (!http->endless)
        return;
    conn_watch(http->conn, (unsigned)(http->edge->config->limits.ping_interval / 1000));
    conn_resume(http->conn);
    if (http->conn->ended)
        http_answer_doubt(http);
}

void http_conn_answer(struct http_conn *http, struct http_response *response, bool close)
{
    static struct http_response no_memory = {.status = 503};
    struct http_response *sent = response ? response : &no_memory;

    close = close || http->edge->stopping || (http->conn && nothing_follows(http));
    if (sent->source && sent->source->length == HTTP_LENGTH_UNKNOWN)
        close = close || http->old;
    if (response && response->problem)
        error_page_fill(response, http->html);
    if (http->conn && http->conn->state == CONN_OPEN) {
        if (write_response(http, sent, close)) {
            http->keep_alive = !close;
            http->status = sent->status;
            http_conn_enter(http, HTTP_PHASE_BUSY, http->edge->config->limits.idle_timeout);
            watch_client(http);
        } else {
            finish_answer(http, sent->status, close);
        }
    }
    http->head_only = false;
    http_response_free(response);
}

void http_conn_answer_text(struct http_conn *http, int status, const char *text, const char *headers,
                           bool close)
{
    struct http_response *response = http_response_text(status, text);
    if (response && headers)
        response->headers = bytes_copy(headers, strlen(headers));
    http_conn_answer(http, response, close);
}

void http_answer_look(struct http_conn *http)
{
    uint64_t idle = http->edge->config->limits.idle_timeout;

    if (http->endless && conn_dead(http->conn)) { /* where nothing is read any more nobody is told */
        conn_reset(http->conn);
        return;
    }
    if (http->endless && http->conn->ended) {
        http->look *= 2;
        if (http->look < idle) {
            http_conn_enter(http, HTTP_PHASE_BUSY, http->look);
            return;
        }
    }
    if (body_sender_moves(&http->sender) || body_sender_starves(&http->sender)) {
        http_conn_enter(http, HTTP_PHASE_BUSY, idle);
        return;
    }
    http->edge->counters->timeouts++;
    conn_reset(http->conn);
}
