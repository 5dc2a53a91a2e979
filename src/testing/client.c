#include "testing/client.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

struct client_group {
    struct peer_group base;
    struct list members; /* of struct client */
};

static struct client *client_of(const struct peer *peer)
{
    return container_of(peer, struct client, peer);
}

/* ---- what the room calls ---- */

static struct peer_group *group_open(struct room *room)
{
    struct client_group *group = xcalloc(sizeof *group);
    (void)room;
    list_init(&group->members);
    return &group->base;
}

static void group_close(struct peer_group *base)
{
    struct client_group *group = container_of(base, struct client_group, base);
    while (list_pop(&group->members))
        ;
    free(group);
}

static void on_send(struct peer *peer, struct bytes *data, bool binary)
{
    struct client *client = client_of(peer);
    if (client->state == CLIENT_CLOSED || client->state == CLIENT_REFUSED)
        return;
    struct client_message *message = xcalloc(sizeof *message);
    message->data = bytes_ref(data);
    message->binary = binary;
    list_push(&client->messages, &message->link);
    client->n_messages++;
}

static void group_send(struct peer_group *base, struct bytes *data, bool binary, struct peer *const *without,
                       size_t n_without)
{
    list_each(link, &container_of(base, struct client_group, base)->members) {
        struct client *client = container_of(link, struct client, member);
        bool left_out = false;
        for (size_t i = 0; i < n_without; i++)
            left_out = left_out || without[i] == &client->peer;
        if (!left_out)
            on_send(&client->peer, data, binary);
    }
}

static void on_join(struct peer *peer, struct peer_group *group)
{
    struct client *client = client_of(peer);
    if (client->transport)
        list_push(&container_of(group, struct client_group, base)->members, &client->member);
}

static void on_accept(struct peer *peer)
{
    struct client *client = client_of(peer);
    if (client->state == CLIENT_CONNECTING)
        client->state = CLIENT_OPEN;
}

static void on_refuse(struct peer *peer, struct http_response *response)
{
    struct client *client = client_of(peer);

    client->state = CLIENT_REFUSED;
    client->refusal = response;
    client->transport = false;
    peer_unref(peer); /* the transport's */
}

static void end_later(struct soon *soon)
{
    struct client *client = container_of(soon, struct client, ending);
    if (!client->transport)
        return;
    client->transport = false;
    room_close(&client->peer, client->code ? client->code : 1005, (const char *)client->reason.data,
               client->reason.len, true);
    peer_unref(&client->peer);
}

/* It answers the room's closing handshake. */
static void on_close(struct peer *peer, uint16_t code, const char *reason, size_t len)
{
    struct client *client = client_of(peer);

    if (client->state == CLIENT_CLOSED || client->state == CLIENT_REFUSED)
        return;
    client->state = CLIENT_CLOSED;
    client->code = code ? code : 1005;
    if (len > 0)
        CHECK(buf_append(&client->reason, reason, len) == 0);
    list_remove(&client->member);
    if (client->transport) {
        client->ending.fn = end_later;
        loop_soon(client->world->loop, &client->ending);
    }
}

static size_t on_pending(const struct peer *peer)
{
    (void)peer;
    return 0; /* it reads at once */
}

static void on_resume(struct peer *peer)
{
    (void)peer; /* it does not ask: a test sends one message after the other */
}

static void on_free(struct peer *peer)
{
    struct client *client = client_of(peer);
    struct client_message *message;

    CHECK(!client->transport);
    list_remove(&client->link);
    list_remove(&client->member);
    loop_soon_cancel(&client->ending);
    while ((message = client_take(client)) != NULL)
        client_message_free(message);
    buf_fini(&client->reason);
    http_response_free(client->refusal);
    free(client);
}

static const struct peer_kind kind = {
    .name = "websocket",
    .group_open = group_open,
    .group_close = group_close,
    .group_send = group_send,
    .join = on_join,
    .accept = on_accept,
    .refuse = on_refuse,
    .send = on_send,
    .close = on_close,
    .pending = on_pending,
    .resume = on_resume,
    .free = on_free,
};

/* ---- what the test does ---- */

struct client *client_new(struct world *world, struct span target, const char *id)
{
    struct client *client = xcalloc(sizeof *client);
    struct buf uri = {0};

    CHECK(buf_printf(&uri, "http://%s%.*s", WORLD_HOST, (int)target.len, target.ptr) == 0 &&
          buf_append(&uri, "", 1) == 0);
    client->peer.kind = &kind;
    client->peer.refs = 2; /* the transport's, and the test's until the world ends */
    client->world = world;
    client->number = ++world->last_number;
    client->transport = true;
    list_init(&client->messages);
    CHECK(peer_set_names(&client->peer, id, (const char *)uri.data, WORLD_REMOTE) == 0);
    buf_fini(&uri);
    list_push(&world->clients, &client->link);
    return client;
}

void client_enter(struct client *client, struct room *room, struct http_request *request)
{
    room_connect(room, &client->peer, request);
}

void client_refuse(struct client *client, struct http_response *response)
{
    on_refuse(&client->peer, response);
}

struct client *client_find(const struct world *world, uint64_t number)
{
    list_each(link, &world->clients) {
        struct client *client = container_of(link, struct client, link);
        if (client->number == number)
            return client;
    }
    return NULL;
}

struct client_message *client_take(struct client *client)
{
    struct list *link = list_pop(&client->messages);
    if (!link)
        return NULL;
    client->n_messages--;
    return container_of(link, struct client_message, link);
}

void client_message_free(struct client_message *message)
{
    bytes_unref(message->data);
    free(message);
}

void client_send(struct client *client, struct span data, bool binary)
{
    room_message(&client->peer, (const uint8_t *)data.ptr, data.len, binary);
}

void client_close(struct client *client, uint16_t code, struct span reason, bool clean)
{
    if (!client->transport || client->state == CLIENT_CLOSED)
        return;
    client->state = CLIENT_CLOSED;
    client->code = clean && code == 0 ? 1005 : code;
    if (reason.len > 0)
        CHECK(buf_append(&client->reason, reason.ptr, reason.len) == 0);
    client->transport = false;
    list_remove(&client->member);
    room_close(&client->peer, client->code, reason.ptr ? reason.ptr : "", reason.len, clean);
    peer_unref(&client->peer);
}

/* The rooms are not told: they are gone, or go. */
void clients_end(struct world *world, uint16_t code)
{
    list_each(link, &world->clients) {
        struct client *client = container_of(link, struct client, link);
        if (client->state == CLIENT_CONNECTING || client->state == CLIENT_OPEN) {
            client->state = CLIENT_CLOSED;
            client->code = code;
        }
    }
}

void clients_free(struct world *world)
{
    list_each_safe(link, &world->clients) {
        struct client *client = container_of(link, struct client, link);
        if (client->transport) {
            client->transport = false;
            room_close(&client->peer, client->code, "", 0, false);
            peer_unref(&client->peer);
        }
        peer_unref(&client->peer);
    }
}
