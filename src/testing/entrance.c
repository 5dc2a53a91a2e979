#include "testing/entrance.h"

static struct room *find_room(struct world *world, struct party *party, struct span id)
{
    return rooms_get(&world->rooms, party, span_of(party->name), id);
}

struct client *entrance_connect(struct world *world, struct party *party, struct span room,
                                struct http_request *request, const char *id)
{
    struct room *found = find_room(world, party, room);
    if (found)
        return client_connect(world, found, request, id);
    http_request_free(request);
    return NULL;
}

struct asked *entrance_request(struct world *world, struct party *party, struct span room,
                               struct http_request *request)
{
    struct room *found = find_room(world, party, room);
    if (found)
        return request_ask(world, found, request);
    http_request_free(request);
    return NULL;
}
