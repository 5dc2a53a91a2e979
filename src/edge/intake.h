/* Bodies that are being read, counted for the room that they are meant for: together with what waits in its
 * inbox they may take limits.inbox (roomMemory). Who comes on top is refused, so that the others get through.
 *
 * Called by http_conn.c for bodies that do not come in one piece with their head. A thread counts what it reads
 * itself; it knows the inbox of its own rooms alone. Bodies for no room share an account. */
#pragma once

#include "edge/edge.h"

struct intake; /* a room's account, there while it has shares */

/* What one connection has of it. Zeroed memory is none. */
struct intake_share {
    struct intake *intake;
    size_t bytes;
};

/* The body of this request has got longer, or is about to begin. false: the room has no place for it, or there
 * is no memory for the account; intake_end is to follow. A body that is alone may always be read. */
bool intake_note(struct edge *edge, struct intake_share *share, const struct http_request *request)
    __attribute__((warn_unused_result));

/* It is read, or will not be. Accepts a share that is none. */
void intake_end(struct edge *edge, struct intake_share *share);
