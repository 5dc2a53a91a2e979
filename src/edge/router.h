/* Which room a URL means: /parties/:party/:room[/…], and /party/:room for the party main. */
#pragma once

#include "base/buf.h"
#include "http/message.h"
#include "room/room.h"

#include <stdbool.h>

enum route_kind {
    ROUTE_ROOM,  /* party and room are set */
    ROUTE_NONE,  /* the URL names no room */
    ROUTE_WRONG, /* it names one that can't be: reason says why */
};

struct route {
    struct span party;   /* inside the path, a literal, or in moved */
    struct buf room;     /* the id, percent-decoded once; owned */
    struct span subpath; /* inside the path: what follows the room; "/" at least */
    const char *reason;  /* a literal */
    struct buf moved;    /* owned; the party that a hook has chosen in the place of the path's */
};

/* Takes a path apart; route_fini frees what it holds, whatever the result. */
enum route_kind route_path(struct span path, struct route *route);
void route_fini(struct route *route);

/* To another room: of this party, with this id. 0 or -ENOMEM; then the route is as it was. */
int route_move(struct route *route, struct span party, struct span room) __attribute__((warn_unused_result));

/* The room's id. */
static inline struct span route_room(const struct route *route)
{
    return (struct span){(const char *)route->room.data, route->room.len};
}
