/* The accounts of edge/intake.h: a map by party and room. */
#include "edge/intake.h"

#include <stdlib.h>

struct intake {
    struct map_node node; /* in edge->intakes */
    size_t bytes, shares;
    struct span party, room; /* both in names */
    char names[];
};

/* The account, with one share more; made for the first one. NULL: no memory. */
static struct intake *intake_ref(struct edge *edge, struct span party, struct span room)
{
    uint64_t hash = map_hash2(party.ptr, party.len, room.ptr, room.len);
    struct intake *intake;

    for (struct map_node *node = map_find(&edge->intakes, hash); node; node = map_next(node)) {
        intake = container_of(node, struct intake, node);
        if (span_equal(intake->party, party) && span_equal(intake->room, room)) {
            intake->shares++;
            return intake;
        }
    }
    intake = malloc(sizeof *intake + party.len + room.len);
    if (!intake)
        return NULL;
    *intake = (struct intake){.shares = 1,
                              .party = {intake->names, party.len},
                              .room = {intake->names + party.len, room.len}};
    if (party.len > 0)
        memcpy(intake->names, party.ptr, party.len);
    if (room.len > 0)
        memcpy(intake->names + party.len, room.ptr, room.len);
    map_add(&edge->intakes, &intake->node, hash);
    return intake;
}

static struct intake *open_intake(struct edge *edge, const struct http_request *request)
{
    struct route route;
    bool named = route_path(request->path, &route) == ROUTE_ROOM;
    struct intake *intake =
        intake_ref(edge, named ? route.party : SPAN(""), named ? route_room(&route) : SPAN(""));

    route_fini(&route);
    return intake;
}

/* Bytes that wait in the room's inbox, if it is one of this thread. */
static size_t inbox_size(const struct edge *edge, const struct intake *intake)
{
    const struct room *room = rooms_find(edge->rooms, intake->party, intake->room);
    return room ? room->inbox_size : 0;
}

bool intake_note(struct edge *edge, struct intake_share *share, const struct http_request *request)
{
    size_t limit = edge->rooms->limits.inbox;

    if (limit == 0)
        return true;
    if (!share->intake && !(share->intake = open_intake(edge, request)))
        return false;
    struct intake *intake = share->intake;
    intake->bytes -= share->bytes;
    size_t others = intake->bytes + inbox_size(edge, intake);
    share->bytes = bytes_cost(request->body);
    intake->bytes += share->bytes;
    return others < limit && (others == 0 || share->bytes <= limit - others);
}

void intake_end(struct edge *edge, struct intake_share *share)
{
    struct intake *intake = share->intake;

    if (!intake)
        return;
    intake->bytes -= share->bytes;
    *share = (struct intake_share){0};
    if (--intake->shares > 0)
        return;
    map_remove(&edge->intakes, &intake->node);
    free(intake);
}
