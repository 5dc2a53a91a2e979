/* For the tests of edge: clients that are WebSockets, on top of edge_driver.h. */
#pragma once

#include "edge_driver.h"
#include "ws_frames.h"

/* The handshake of RFC 6455 §1.3, with more header lines. */
#define UPGRADE(path, more)                                                                                  \
    "GET " path " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                      \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" more "\r\n"
#define ACCEPTED                                                                                             \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"                      \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

static inline void client_frame(struct world *world, struct client *client, unsigned first, const void *data,
                                size_t len)
{
    struct buf frame = {0};
    put_frame(&frame, first, data, len);
    client_send_bytes(world, client, frame.data, frame.len);
    buf_fini(&frame);
}

static inline void client_text(struct world *world, struct client *client, const char *text)
{
    client_frame(world, client, 0x81, text, strlen(text));
}

/* code 0: none */
static inline void client_close_frame(struct world *world, struct client *client, unsigned code,
                                      const char *reason)
{
    char payload[125] = {(char)(code >> 8), (char)code};
    size_t len = code ? 2 + strlen(reason) : 0;
    assert_true(len <= sizeof payload);
    if (len > 2)
        memcpy(payload + 2, reason, len - 2);
    client_frame(world, client, 0x88, payload, len);
}

static inline size_t server_frame_head(const struct client *client, uint64_t *payload_len)
{
    const uint8_t *in = client->in.data;
    size_t head = 2;

    if (client->in.len < 2)
        return 0;
    assert_int_equal(in[1] & 0x80, 0);
    *payload_len = in[1] & 0x7f;
    if (*payload_len >= 126) {
        size_t extended = *payload_len == 126 ? 2 : 8;
        if (client->in.len < 2 + extended)
            return 0;
        *payload_len = 0;
        for (size_t i = 0; i < extended; i++)
            *payload_len = *payload_len << 8 | in[2 + i];
        head += extended;
    }
    return head;
}

/* Turns the loop until a whole frame is there, and says what it is: "text Hello", "binary …", "ping …",
 * "close 1000 reason", or "end" for the connection's. Valid until the next call; only the first bytes of
 * a long one. */
static inline const char *next_frame(struct world *world, struct client *client)
{
    static char text[256];
    uint64_t len = 0;
    size_t head = 0;

    WAIT(world, (client_read(client, SIZE_MAX), head = server_frame_head(client, &len),
                 (head > 0 && client->in.len >= head + len) || client->ended || client->reset));
    if (head == 0 || client->in.len < head + len) {
        assert_int_equal(client->in.len, 0); /* no frame was cut */
        return "end";
    }
    const uint8_t *payload = client->in.data + head;
    int shown = len > 200 ? 200 : (int)len;
    switch (client->in.data[0]) {
    case 0x81: snprintf(text, sizeof text, "text %.*s", shown, (const char *)payload); break;
    case 0x82: snprintf(text, sizeof text, "binary %.*s", shown, (const char *)payload); break;
    case 0x89: snprintf(text, sizeof text, "ping %.*s", shown, (const char *)payload); break;
    case 0x8a: snprintf(text, sizeof text, "pong %.*s", shown, (const char *)payload); break;
    case 0x88:
        if (len == 0)
            snprintf(text, sizeof text, "close");
        else
            snprintf(text, sizeof text, "close %d%s%.*s", payload[0] << 8 | payload[1], len > 2 ? " " : "",
                     shown - 2, (const char *)payload + 2);
        break;
    default: fail_msg("a frame that begins with %02x", client->in.data[0]);
    }
    buf_consume(&client->in, head + (size_t)len);
    return text;
}

#define expect_frame(world, client, want)                                                                    \
    do {                                                                                                     \
        const char *got_ = next_frame(world, client);                                                        \
        if (strcmp(got_, want) != 0)                                                                         \
            fail_msg("%s:%d: %s\nin place of %s", __FILE__, __LINE__, got_, want);                           \
    } while (0)

/* The next bytes are these. */
#define expect_bytes(world, client, want)                                                                    \
    do {                                                                                                     \
        client_await(world, client, strlen(want));                                                           \
        assert_memory_equal((client)->in.data, want, strlen(want));                                          \
        buf_consume(&(client)->in, strlen(want));                                                            \
    } while (0)

/* A client that asks for the room r, by an id. */
static inline struct client socket_ask(struct world *world, const char *id, bool small)
{
    struct client client = client_open(world, small);
    char text[512];
    snprintf(text, sizeof text,
             "GET /party/r?_pk=%s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
             id);
    client_send(world, &client, text);
    return client;
}

/* The same, whose handshake was answered. */
static inline struct client socket_open(struct world *world, const char *id, bool small)
{
    struct client client = socket_ask(world, id, small);
    expect_bytes(world, &client, ACCEPTED);
    return client;
}

/* The server's end of the newest one. */
static inline struct ws_socket *newest_socket(struct world *world)
{
    assert_false(list_empty(&world->edge.sockets));
    return container_of(world->edge.sockets.prev, struct ws_socket, link);
}
