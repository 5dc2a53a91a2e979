/* What a party is asked before a request reaches its room (room/hook.h): on the thread where the connection was
 * accepted, so that a room, and the way to its thread, is there only for those who are let in. Called by http_conn.c
 * and upgrade.c, once that is known which room is asked for and that it can be. */
#pragma once

#include "edge/http_conn.h"
#include "room/hook.h"

/* Has the party this hook? */
static inline bool before_wanted(const struct edge *edge, const struct party *party, enum hook_kind hook)
{
    return edge->rooms->script->has_hook(party, hook);
}

/* Asks onBeforeConnect, for an upgrade, or onBeforeRequest; the connection waits for it, and then the request goes on,
 * or is answered. The request is the callee's, as is what the route and refusal (may be NULL) hold. */
void before_ask(struct http_conn *http, struct http_request *request, struct party *party,
                struct route *route, struct upgrade_refusal *refusal);
