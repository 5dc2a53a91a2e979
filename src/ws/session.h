/* A WebSocket's protocol, server side (RFC 6455): bytes in, messages out. No sockets, no
 * timers: the owner feeds it, sends what it writes, and ends the connection when told.
 *
 * Data frames are unmasked in place and checked in words, as they arrive; a message that lies
 * whole in the caller's buffer is handed up from there, without a copy. A compressed one is kept as
 * it comes and inflated when it is whole, so that what a session holds is what its client has sent.
 * Control frames go through wslay's frame codec, of which each thread has one. An idle session owns
 * no memory. */
#pragma once

#include "base/buf.h"
#include "ws/frame.h"

struct ws_session;

/* All are called from inside of ws_session_feed, write also by the functions that send. They
 * may close the session or ping; all but write may end it with ws_session_fini. Its memory
 * has to stay until ws_session_feed returns, which none of them may call. */
struct ws_ops {
    /* A whole message; data is the session's, valid during the call. Text is valid UTF-8. */
    void (*on_message)(struct ws_session *session, const uint8_t *data, size_t len, bool binary);
    /* len more bytes of a message's payload have come, as they were sent; last: with them it is whole.
     * Called before they are looked at. May be NULL. */
    void (*on_payload)(struct ws_session *session, size_t len, bool last);
    /* A ping, valid during the call: the owner answers it with ws_session_pong, now or later; of several
     * that wait for it only the newest need be answered (§5.5.3). NULL: each is answered at once. */
    void (*on_ping)(struct ws_session *session, const uint8_t *payload, size_t len);
    /* A pong; the owner may note that the peer lives. May be NULL. */
    void (*on_pong)(struct ws_session *session);
    /* The peer's close frame came first, or answered ours. code is 1005 when it had none, the
     * reason is valid during the call. The answer was written already: the owner ends the
     * connection. */
    void (*on_close)(struct ws_session *session, uint16_t code, const char *reason, size_t len);
    /* The peer broke the protocol (1002, 1007) or a limit (1008, 1009), or memory ran out (1011), or the
     * owner called ws_session_fail: a close frame with this code and text was written, unless one was before.
     * Nothing will be handed up any more; the owner ends the connection. */
    void (*on_fail)(struct ws_session *session, uint16_t code, const char *text);
    /* Bytes to send: a whole control frame. */
    void (*write)(struct ws_session *session, const void *data, size_t len);
    /* May the next message be handed up? Asked before each piece that is looked at, until a
     * close frame was sent; false leaves the rest of the bytes unused (the owner has paused
     * its connection). May be NULL. */
    bool (*ready)(struct ws_session *session);
};

/* Zeroed memory plus ws_session_init. */
struct ws_session {
    const struct ws_ops *ops;
    uint64_t max_message; /* bytes of a message, all fragments together, inflated */
    uint64_t frame_left;  /* bytes of the current data frame's payload still to come; 0: between frames */
    struct buf message;   /* what came of a message that is not whole yet; owned */
    uint8_t mask[4];      /* key of the current frame, turned to where its payload goes on */
    uint32_t utf8;        /* state of the current text message (base/utf8.h) */
    uint8_t opcode;       /* WS_TEXT or WS_BINARY of the message under way; 0: none */
    uint16_t empty;       /* fragments without payload of that message */
    bool fin;             /* the current frame is its message's last */
    bool deflate;         /* permessage-deflate was negotiated; the owner's to set */
    bool compressed;      /* the message under way is */
    bool close_sent;      /* nothing but the peer's close is of interest any more */
    bool trailing;        /* something came with the peer's close, behind it */
    bool close_received;  /* it came, or the session failed or was ended: nothing is read any more */
};

void ws_session_init(struct ws_session *session, const struct ws_ops *ops, uint64_t max_message);

/* Frees what it owns and ends it: whatever is called afterwards does nothing. */
void ws_session_fini(struct ws_session *session);

/* Looks at len bytes, which it may change; returns how many it used. The others (part of a
 * frame's head or of a control frame, or everything after ready() said no) must come again in
 * front of what follows. */
size_t ws_session_feed(struct ws_session *session, uint8_t *data, size_t len);

/* Writes a close frame, once; code 0 sends none in it, and no reason. The reason must be UTF-8
 * and is cut at 123 bytes on a character's edge. After that incoming messages are dropped and
 * the peer's close is awaited (on_close). Returns false if one was sent before. */
bool ws_session_close(struct ws_session *session, uint16_t code, const char *reason, size_t len);

/* Writes a ping without payload, unless a close frame was sent. */
void ws_session_ping(struct ws_session *session);

/* Writes a pong, whose payload is at most WS_CONTROL_MAX bytes, unless a close frame was sent. */
void ws_session_pong(struct ws_session *session, const void *payload, size_t len);

/* The peer broke a rule of the owner's: on_fail follows from within, and all that it says. The text is cut
 * at 123 bytes. */
void ws_session_fail(struct ws_session *session, uint16_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The calling thread's wslay context and zlib streams, made at first use, are freed. For tests and
 * thread ends. */
void ws_thread_fini(void);
