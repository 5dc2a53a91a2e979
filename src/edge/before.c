/* Asking hooks, and what becomes of the connection that waits for them. */
#include "edge/before.h"

#include "base/log.h"
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>

/* Lives from the question to the answer. The connection is BUSY meanwhile, so it outlives this. */
struct before {
    struct hook_call call;
    struct http_conn *http;
    struct route route;               /* owned; its spans may lie in the request */
    const struct http_request *asked; /* not to be looked at: is it the one that comes back? */
    struct upgrade_refusal *refusal;  /* owned; NULL: a refusal is a plain answer */
    struct buf path;                  /* of an upgrade, for the log */
    bool asking, answered;            /* it is answered within the question */
    struct http_response *response;   /* that answer; owned */
};

static void before_free(struct before *self)
{
    hook_call_fini(&self->call);
    route_fini(&self->route);
    upgrade_refusal_fini(self->refusal);
    free(self->refusal);
    buf_fini(&self->path);
    free(self);
}

/* The answer is the hook's, or that it has none. */
static void refuse(struct before *self, struct http_response *response)
{
    struct http_conn *http = self->http;
    struct span path = {(const char *)self->path.data, self->path.len};

    if (self->call.kind != HOOK_CONNECT)
        http->exchange.respond(&http->exchange, response);
    else if (self->refusal && self->call.verdict == HOOK_ANSWER && response)
        upgrade_refuse_closing(http, path, response, self->refusal);
    else
        upgrade_refuse(http, path, response);
}

/* For the author's eyes. NULL: no memory. */
static struct http_problem *explain(const struct before *self, const char *handler, const char *message)
{
    struct http_problem *problem = calloc(1, sizeof *problem);
    struct span room = route_room(&self->route), party = self->route.party;
    char title[512];

    if (!problem)
        return NULL;
    snprintf(title, sizeof title, "%s, room %.*s of the party %.*s", handler, (int)room.len, room.ptr,
             (int)party.len, party.ptr);
    problem->title = strdup(title);
    problem->message = strdup(message);
    return problem;
}

static struct http_response *impossible_room(const struct before *self, const char *problem)
{
    self->http->edge->counters->requests_failed++;
    const struct config *config = self->http->edge->config;
    const struct hook_call *call = &self->call;
    const char *handler = call->kind == HOOK_CONNECT ? "onBeforeConnect" : "onBeforeRequest";
    char reference[REFERENCE_LEN + 1], text[64];

    random_reference(reference);
    snprintf(text, sizeof text, "Internal error (reference %s)", reference);
    log_event(LOG_ERROR, "a hook chose a room that can't be", log_text("party", self->route.party),
              log_text("room", route_room(&self->route)), /* call->room may lie in a route that is gone */
              log_str("handler", handler), log_str("error", problem),
              log_text("chosen", (struct span){call->to, call->to_len}), log_str("reference", reference));
    struct http_response *response = http_response_text(500, text);
    if (response && config->dev)
        response->problem = explain(self, handler, problem);
    return response;
}

/* Where the request goes that has come back. false: nowhere; *response is the answer then, NULL without memory. */
static bool find_route(struct before *self, const struct http_request *request,
                       struct http_response **response)
{
    struct hook_call *call = &self->call;
    struct span to = {call->to, call->to_len};

    if (request != self->asked) { /* another allocation: the spans are in the one before */
        route_fini(&self->route);
        if (route_path(request->path, &self->route) != ROUTE_ROOM) {
            *response = http_response_text(503, "Not enough memory");
            return false;
        }
    }
    if (call->verdict == HOOK_PASS)
        return true;
    const char *problem = room_id_problem(to);
    if (problem) {
        *response = impossible_room(self, problem);
        return false;
    }
    if (route_move(&self->route, span_of(call->party), to) == 0)
        return true;
    *response = http_response_text(503, "Not enough memory");
    return false;
}

/* Has the client left meanwhile? Then no room is made for it. One that has ended its side may only have no more to ask
 * (RFC 9112 §9.6), and is answered; but nobody makes a WebSocket of it. */
static bool is_gone(const struct before *self)
{
    const struct conn *conn = self->http->conn;

    if (!conn || conn->state != CONN_OPEN || conn_dead(conn))
        return true;
    return self->call.kind == HOOK_CONNECT && conn_half_closed(conn);
}

static void go_on(struct before *self, struct http_response *response)
{
    struct hook_call *call = &self->call;
    struct http_request *request = call->request;
    bool passed = !response && (call->verdict == HOOK_PASS || call->verdict == HOOK_REDIRECT);

    bool gone = passed && is_gone(self);

    if (gone)
        response = http_response_text(400, "The client has left before it was let in");
    if (passed && !gone && find_route(self, request, &response)) {
        call->request = NULL;
        http_conn_admit(self->http, request, &self->route);
    } else {
        if (passed) /* what is wrong is no decision of the hook's */
            call->verdict = HOOK_FAILED;
        refuse(self, response);
    }
    before_free(self);
}

static void on_answer(struct exchange *exchange, struct http_response *response)
{
    struct before *self =
        container_of(container_of(exchange, struct hook_call, exchange), struct before, call);

    if (self->asking) {
        self->answered = true;
        self->response = response;
    } else {
        go_on(self, response);
    }
}

void before_ask(struct http_conn *http, struct http_request *request, struct party *party,
                struct route *route, struct upgrade_refusal *refusal)
{
    struct before *self = calloc(1, sizeof *self);

    if (!self) {
        http_conn_respond(http, http_response_text(503, "Not enough memory"), true);
        http_request_free(request);
        upgrade_refusal_fini(refusal);
        free(refusal);
        return;
    }
    self->http = http;
    self->route = *route;
    *route = (struct route){0};
    self->refusal = refusal;
    self->asked = request;
    self->call.exchange.respond = on_answer;
    self->call.kind = request->upgrade ? HOOK_CONNECT : HOOK_REQUEST;
    self->call.room = route_room(&self->route);
    if (request->upgrade)
        (void)!buf_append(&self->path, request->path.ptr, request->path.len);
    request->subpath = self->route.subpath;
    self->asking = true;
    room_hook(http->edge->rooms, party, &self->call, request);
    self->asking = false;
    if (self->answered) /* the lobby's turn is over: the room's event may run at once */
        go_on(self, self->response);
}
