/* Feeds a session as a connection does: what it leaves comes again in front of the next piece,
 * each time as a block of memory of its own and of exactly its length, so that a sanitizer
 * sees who reads too far or keeps a pointer. What comes out is written as text, for tests to
 * compare, one line each:
 *
 *     text Hello             a message (binary …); a long one as its length and a hash
 *     pong                   on_pong
 *     > pong Hello           a frame that the session wrote
 *     > close 1002 Text
 *     closed 1000 Text       on_close
 *     failed 1002 Text       on_fail
 */
#pragma once

#include "ws/session.h"
#include "ws_frames.h"

#include <stdio.h>

struct driver {
    struct ws_session session;
    struct buf left;         /* what the session left */
    struct buf out;          /* what came out, as text */
    bool brief;              /* codes without their texts */
    unsigned messages;       /* so far */
    unsigned close_at;       /* closes with 4000 "Enough" in message number such; 0: never */
    unsigned fini_at;        /* ends the session there */
    unsigned ready_for;      /* true so many times more; UINT_MAX: for ever */
    unsigned closes_written; /* close frames */
    unsigned ends;           /* calls of on_close and on_fail */
};

static inline void driver_say(struct driver *driver, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    assert_int_equal(buf_vprintf(&driver->out, format, args), 0);
    va_end(args);
}

/* Ends the line with these bytes; those that are not printed as they are in hexadecimal. */
static inline void say_bytes(struct buf *out, const uint8_t *data, size_t len)
{
    if (len > 130) {
        uint64_t hash = 14695981039346656037u;
        for (size_t i = 0; i < len; i++)
            hash = (hash ^ data[i]) * 1099511628211u;
        assert_int_equal(buf_printf(out, " %zu bytes %016llx\n", len, (unsigned long long)hash), 0);
        return;
    }
    assert_int_equal(buf_printf(out, "%s", len ? " " : ""), 0);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(buf_printf(out, data[i] < ' ' || data[i] > '~' ? "<%02x>" : "%c", data[i]), 0);
    assert_int_equal(buf_printf(out, "\n"), 0);
}

static inline struct driver *driver_of(struct ws_session *session)
{
    return (struct driver *)(void *)((char *)session - offsetof(struct driver, session));
}

static inline void driver_on_message(struct ws_session *session, const uint8_t *data, size_t len, bool binary)
{
    struct driver *driver = driver_of(session);

    assert_non_null(data);
    assert_int_equal(driver->ends, 0);
    driver->messages++;
    driver_say(driver, "%s", binary ? "binary" : "text");
    say_bytes(&driver->out, data, len);
    if (driver->messages == driver->close_at)
        assert_true(ws_session_close(session, 4000, "Enough", 6));
    if (driver->messages == driver->fini_at)
        ws_session_fini(session);
    if (len)
        assert_true(data[0] + data[len - 1] >= 0); /* still there: a sanitizer would say */
}

static inline void driver_on_pong(struct ws_session *session)
{
    assert_int_equal(driver_of(session)->ends, 0);
    driver_say(driver_of(session), "pong\n");
}

static inline void driver_end(struct driver *driver, const char *how, uint16_t code, const void *text,
                              size_t len)
{
    assert_int_equal(driver->ends, 0);
    driver->ends++;
    driver_say(driver, "%s %u", how, code);
    say_bytes(&driver->out, text, driver->brief ? 0 : len);
    assert_false(ws_session_close(&driver->session, 1000, NULL, 0));
    ws_session_ping(&driver->session); /* nothing may be written behind a close frame */
}

static inline void driver_on_close(struct ws_session *session, uint16_t code, const char *reason, size_t len)
{
    driver_end(driver_of(session), "closed", code, reason, len);
}

static inline void driver_on_fail(struct ws_session *session, uint16_t code, const char *text)
{
    driver_end(driver_of(session), "failed", code, text, strlen(text));
}

static inline void driver_write(struct ws_session *session, const void *data, size_t len)
{
    struct driver *driver = driver_of(session);
    const uint8_t *frame = data;

    assert_int_equal(driver->closes_written, 0);
    assert_in_range(len, 2, 127);
    assert_int_equal(frame[1], len - 2); /* not masked, and whole */
    frame += 2;
    len -= 2;
    switch (frame[-2]) {
    case 0x88:
        driver->closes_written++;
        driver_say(driver, "> close");
        if (len) {
            assert_true(len >= 2);
            driver_say(driver, " %u", frame[0] << 8 | frame[1]);
            frame += 2;
            len -= 2;
        }
        if (driver->brief)
            len = 0;
        break;
    case 0x89: driver_say(driver, "> ping"); break;
    case 0x8a: driver_say(driver, "> pong"); break;
    default: fail_msg("a frame that begins with %02x was written", frame[-2]);
    }
    say_bytes(&driver->out, frame, len);
}

static inline bool driver_ready(struct ws_session *session)
{
    struct driver *driver = driver_of(session);
    if (driver->ready_for == 0)
        return false;
    if (driver->ready_for != UINT32_MAX)
        driver->ready_for--;
    return true;
}

static inline void driver_init(struct driver *driver, uint64_t max_message)
{
    static const struct ws_ops ops = {
        .on_message = driver_on_message,
        .on_pong = driver_on_pong,
        .on_close = driver_on_close,
        .on_fail = driver_on_fail,
        .write = driver_write,
        .ready = driver_ready,
    };
    *driver = (struct driver){.ready_for = UINT32_MAX};
    ws_session_init(&driver->session, &ops, max_message);
}

static inline void driver_fini(struct driver *driver)
{
    ws_session_fini(&driver->session);
    buf_fini(&driver->left);
    buf_fini(&driver->out);
}

/* One more piece of what the client sends. */
static inline void driver_feed(struct driver *driver, const uint8_t *data, size_t len)
{
    struct ws_session *session = &driver->session;
    size_t whole = driver->left.len + len;
    uint8_t *block = malloc(whole ? whole : 1);

    assert_non_null(block);
    if (driver->left.len)
        memcpy(block, driver->left.data, driver->left.len);
    if (len)
        memcpy(block + driver->left.len, data, len);
    size_t used = ws_session_feed(session, block, whole);
    assert_true(used <= whole);
    buf_fini(&driver->left);
    assert_int_equal(buf_append(&driver->left, block + used, whole - used), 0);
    if (driver->ready_for &&
        driver->left.len) /* a data frame's head, or a control frame, but not all of it */
        assert_true(driver->left.len < (driver->left.data[0] & 0x08 ? 131 : 14));
    if (driver->ends || driver->session.close_received)
        assert_int_equal(driver->left.len, 0);
    if (!session->opcode || session->close_sent)
        assert_null(session->message.data); /* idle: nothing is held */
    free(block);
}

static inline const char *driver_text(struct driver *driver)
{
    assert_int_equal(buf_reserve(&driver->out, 1), 0);
    driver->out.data[driver->out.len] = '\0';
    return (const char *)driver->out.data;
}
