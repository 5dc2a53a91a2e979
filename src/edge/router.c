#include "edge/router.h"

#include "http/field.h"

#include <errno.h>

/* Takes "/segment" off the front; false when there is none. */
static bool next_segment(struct span *rest, struct span *segment)
{
    if (rest->len == 0 || rest->ptr[0] != '/')
        return false;
    const char *start = rest->ptr + 1;
    const char *end = memchr(start, '/', rest->len - 1);
    if (!end)
        end = rest->ptr + rest->len;
    *segment = (struct span){start, (size_t)(end - start)};
    *rest = (struct span){end, (size_t)(rest->ptr + rest->len - end)};
    return true;
}

enum route_kind route_path(struct span path, struct route *route)
{
    struct span rest = path, prefix, room;

    *route = (struct route){0};
    if (!next_segment(&rest, &prefix))
        return ROUTE_NONE;
    if (span_equal(prefix, SPAN("parties"))) {
        if (!next_segment(&rest, &route->party) || route->party.len == 0)
            return ROUTE_NONE;
    } else if (span_equal(prefix, SPAN("party"))) {
        route->party = SPAN("main");
    } else {
        return ROUTE_NONE;
    }
    if (!next_segment(&rest, &room) || room.len == 0)
        return ROUTE_NONE;
    route->subpath = rest.len ? rest : SPAN("/");

    switch (http_percent_decode(room, false, &route->room)) {
    case 0: break;
    case -EINVAL:
        route->reason = "The room id has a % that is not followed by two hex digits";
        return ROUTE_WRONG;
    default: route->reason = "Not enough memory"; return ROUTE_WRONG;
    }
    route->reason = room_id_problem(route_room(route));
    return route->reason ? ROUTE_WRONG : ROUTE_ROOM;
}

int route_move(struct route *route, struct span party, struct span room)
{
    struct buf to = {0}, moved = {0};

    if (buf_append(&to, room.ptr, room.len) != 0 || buf_append(&moved, party.ptr, party.len) != 0) {
        buf_fini(&to);
        buf_fini(&moved);
        return -ENOMEM;
    }
    buf_fini(&route->room);
    buf_fini(&route->moved);
    route->room = to;
    route->moved = moved;
    route->party = (struct span){moved.len ? (const char *)moved.data : "", moved.len};
    return 0;
}

void route_fini(struct route *route)
{
    buf_fini(&route->room);
    buf_fini(&route->moved);
}
