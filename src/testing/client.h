/* A test's WebSocket client: a peer without a socket. It hears at once what its room lets out, and keeps it until the
 * test asks. */
#pragma once

#include "room/peer.h"
#include "testing/world.h"

enum client_state {
    CLIENT_CONNECTING, /* onConnect runs or waits */
    CLIENT_OPEN,
    CLIENT_CLOSED,  /* by either side; code and reason say how */
    CLIENT_REFUSED, /* was never let in: status and body are the answer to its upgrade */
};

struct client_message {
    struct list link;
    struct bytes *data; /* a reference */
    bool binary;
};

struct client {
    struct peer peer;
    struct world *world;
    struct list link;   /* in world->clients */
    struct list member; /* in its group */
    uint64_t number;
    enum client_state state;
    bool transport;       /* the room was not told yet that it is gone */
    bool closing;         /* the room has closed it, and is to be told of the end */
    struct soon ending;   /* does that */
    struct list messages; /* of struct client_message that were not read */
    uint32_t n_messages;
    uint16_t code;
    struct buf reason;
    struct http_response *refusal; /* owned; REFUSED, NULL: there was no memory */
};

/* One that is about to connect; target: what its request names. Then one of the next two follows. */
struct client *client_new(struct world *world, struct span target, const char *id);

/* It wants to come in; the request is the callee's. */
void client_enter(struct client *client, struct room *room, struct http_request *request);

/* It does not get that far; the response is the callee's. */
void client_refuse(struct client *client, struct http_response *response);

struct client *client_find(const struct world *world, uint64_t number);

/* The oldest message that was not read; the caller frees it with client_message_free. NULL: none. */
struct client_message *client_take(struct client *client);
void client_message_free(struct client_message *message);

void client_send(struct client *client, struct span data, bool binary);

/* Its end: by a closing handshake of its own (clean), or its connection is lost (1006). */
void client_close(struct client *client, uint16_t code, struct span reason, bool clean);

/* All that are connected. */
void clients_end(struct world *world, uint16_t code);

/* The rooms are gone. */
void clients_free(struct world *world);
