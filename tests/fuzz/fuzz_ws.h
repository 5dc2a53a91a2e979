/* A client's side of a WebSocket, for the fuzz targets of ws: what a session may hand up, and bytes
 * in pieces, of which what the session leaves is given again, as a connection does. */
#pragma once

#include "base/utf8.h"
#include "ws/session.h"

#include <stdlib.h>

#define MESSAGE_MAX 4096u

struct client {
    struct ws_session session;
    unsigned ends;
};

static inline struct client *client_of(struct ws_session *session)
{
    return (struct client *)(void *)((char *)session - offsetof(struct client, session));
}

static inline void on_message(struct ws_session *session, const uint8_t *data, size_t len, bool binary)
{
    if (client_of(session)->ends > 0 || !data || len > MESSAGE_MAX || (!binary && !utf8_valid(data, len)))
        abort();
}

static inline void on_close(struct ws_session *session, uint16_t code, const char *reason, size_t len)
{
    if (client_of(session)->ends++ > 0 || (code != 1005 && !ws_close_code_valid(code)) ||
        !utf8_valid(reason, len))
        abort();
}

static inline void on_fail(struct ws_session *session, uint16_t code, const char *text)
{
    if (client_of(session)->ends++ > 0 || !ws_close_code_valid(code) || !text)
        abort();
}

static inline void write_frame(struct ws_session *session, const void *data, size_t len)
{
    (void)session;
    if (len < 2 || len > 2 + WS_CONTROL_MAX || ((const uint8_t *)data)[1] > WS_CONTROL_MAX)
        abort();
}

/* A whole session, in pieces of at most so many bytes. */
static inline void client_feed(const uint8_t *data, size_t size, size_t piece, bool deflate)
{
    static const struct ws_ops ops = {.on_message = on_message,
                                      .on_close = on_close,
                                      .on_fail = on_fail,
                                      .write = write_frame};
    struct client client = {0};
    struct buf input = {0};

    ws_session_init(&client.session, &ops, MESSAGE_MAX);
    client.session.deflate = deflate;
    for (size_t at = 0; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        if (buf_append(&input, data + at, len) != 0)
            break;
        size_t used = ws_session_feed(&client.session, input.data, input.len);
        if (used > input.len)
            abort();
        buf_consume(&input, used);
    }
    buf_fini(&input);
    ws_session_fini(&client.session);
}
