/* The protocol of ws/session.h. Data frames are looked at in pieces, as they arrive; what is
 * kept of them between two calls is the head of the current frame and, of a message that is
 * not whole, its bytes (which are compressed, maybe). */
#include "ws/session.h"

#include "base/utf8.h"
#include "ws/control.h"
#include "ws/deflate.h"
#include "ws/mask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CODE_LEN 2u /* bytes of the code in a close frame */
#define REASON_MAX (WS_CONTROL_MAX - CODE_LEN)

/* The most that is allocated for bytes of which only the number is known, unless as much has
 * arrived already. */
#define AHEAD_MAX (64u * 1024)

/* Fragments without payload that a message may have. The others are bounded by the message's length. */
#define EMPTY_FRAGMENTS_MAX 1000u

enum {
    CLOSE_PROTOCOL_ERROR = 1002,
    CLOSE_NO_CODE = 1005, /* stands for a close frame without one */
    CLOSE_BAD_TEXT = 1007,
    CLOSE_POLICY = 1008,
    CLOSE_TOO_LARGE = 1009,
    CLOSE_INTERNAL_ERROR = 1011,
};

void ws_session_init(struct ws_session *session, const struct ws_ops *ops, uint64_t max_message)
{
    *session = (struct ws_session){.ops = ops, .max_message = max_message};
}

void ws_session_fini(struct ws_session *session)
{
    if (!session)
        return;
    session->close_sent = session->close_received = true;
    buf_fini(&session->message);
}

void ws_thread_fini(void)
{
    ws_control_fini();
    ws_deflate_fini();
}

/* ---- sending ---- */

static void write_control(struct ws_session *session, enum ws_opcode opcode, const void *payload, size_t len)
{
    uint8_t frame[WS_CONTROL_FRAME_MAX];
    session->ops->write(session, frame, ws_control_write(frame, opcode, payload, len));
}

void ws_session_ping(struct ws_session *session)
{
    if (!session->close_sent)
        write_control(session, WS_PING, NULL, 0);
}

void ws_session_pong(struct ws_session *session, const void *payload, size_t len)
{
    if (!session->close_sent)
        write_control(session, WS_PONG, payload, len);
}

bool ws_session_close(struct ws_session *session, uint16_t code, const char *reason, size_t len)
{
    uint8_t payload[WS_CONTROL_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};

    if (session->close_sent)
        return false;
    session->close_sent = true;
    buf_fini(&session->message);
    len = reason ? utf8_cut(reason, len, REASON_MAX) : 0;
    if (len)
        memcpy(payload + CODE_LEN, reason, len);
    write_control(session, WS_CLOSE, payload, code ? CODE_LEN + len : 0);
    return true;
}

void ws_session_fail(struct ws_session *session, uint16_t code, const char *format, ...)
{
    char text[REASON_MAX + 1];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ws_session_close(session, code, text, strlen(text));
    ws_session_fini(session);
    session->ops->on_fail(session, code, text);
}

/* ---- control frames ---- */

static void take_close(struct ws_session *session, const uint8_t *payload, size_t len)
{
    unsigned code = len < CODE_LEN ? CLOSE_NO_CODE : (unsigned)payload[0] << 8 | payload[1];
    const char *reason = (const char *)payload + CODE_LEN;
    size_t reason_len = len < CODE_LEN ? 0 : len - CODE_LEN;

    if (len == 1) {
        ws_session_fail(session, CLOSE_PROTOCOL_ERROR, "Close frame has half a code");
    } else if (len && !ws_close_code_valid(code)) {
        ws_session_fail(session, CLOSE_PROTOCOL_ERROR, "Close code %u is not allowed", code);
    } else if (!utf8_valid(reason, reason_len)) {
        ws_session_fail(session, CLOSE_BAD_TEXT, "Close reason is not valid UTF-8");
    } else {
        ws_session_close(session, len ? (uint16_t)code : 0, reason, reason_len); /* sent back: §5.5.1 */
        ws_session_fini(session);
        session->ops->on_close(session, (uint16_t)code, reason, reason_len);
    }
}

/* Takes a whole control frame. */
static void take_control(struct ws_session *session, const uint8_t *frame, size_t len)
{
    struct ws_control control;

    if (ws_control_read(&control, frame, len) != 0) {
        ws_session_fail(session, CLOSE_PROTOCOL_ERROR, "Control frame is not valid");
    } else if (control.opcode == WS_CLOSE) {
        take_close(session, control.payload, control.len);
    } else if (control.opcode == WS_PING) {
        if (session->ops->on_ping)
            session->ops->on_ping(session, control.payload, control.len);
        else
            ws_session_pong(session, control.payload, control.len);
    } else if (session->ops->on_pong) {
        session->ops->on_pong(session);
    }
}

/* ---- data frames ---- */

/* False: there would be more of the message than may be; the session has failed. */
static bool check_size(struct ws_session *session, const struct ws_head *head)
{
    bool first = head->opcode != WS_CONTINUATION, compressed = first ? head->compressed : session->compressed;
    uint64_t max = compressed ? ws_deflate_bound(session->max_message) : session->max_message;

    if (session->close_sent || head->payload_len <= max - session->message.len)
        return true;
    ws_session_fail(session, CLOSE_TOO_LARGE, "%s is too large: %" PRIu64 " > %" PRIu64,
                    compressed ? "Compressed message" : "Message", session->message.len + head->payload_len,
                    max);
    return false;
}

/* False: it may not come here, or is too large; the session has failed. */
static bool begin_data(struct ws_session *session, const struct ws_head *head)
{
    if (head->opcode == WS_CONTINUATION && !session->opcode) {
        ws_session_fail(session, CLOSE_PROTOCOL_ERROR, "Continuation frame without a message to continue");
        return false;
    }
    if (head->opcode != WS_CONTINUATION && session->opcode) {
        ws_session_fail(session, CLOSE_PROTOCOL_ERROR, "New message before the end of a fragmented one");
        return false;
    }
    if (!check_size(session, head))
        return false;
    if (head->opcode != WS_CONTINUATION) {
        session->opcode = head->opcode;
        session->compressed = head->compressed;
        session->utf8 = UTF8_ACCEPT;
        session->empty = 0;
    }
    if (!session->close_sent && head->payload_len == 0 && !head->fin &&
        ++session->empty > EMPTY_FRAGMENTS_MAX) {
        ws_session_fail(session, CLOSE_POLICY, "Too many empty fragments: %u > %u", session->empty,
                        EMPTY_FRAGMENTS_MAX);
        return false;
    }
    session->fin = head->fin;
    session->frame_left = head->payload_len;
    memcpy(session->mask, head->mask, sizeof session->mask);
    return true;
}

/* Room in session->message for len bytes that are here, and for some of those to come. NULL:
 * no memory. */
static uint8_t *extend_message(struct ws_session *session, size_t len)
{
    struct buf *message = &session->message;
    size_t ahead = message->len > AHEAD_MAX ? message->len : AHEAD_MAX;

    if (len > message->cap - message->len) {
        if (ahead > session->frame_left)
            ahead = (size_t)session->frame_left;
        if (buf_reserve(message, len + ahead) != 0)
            return NULL;
    }
    message->len += len;
    return message->data + message->len - len;
}

/* Unmasks into dst. False: it is text and can't become valid, or isn't at its end. */
static bool decode(struct ws_session *session, uint8_t *dst, const uint8_t *src, size_t len, bool last)
{
    if (session->opcode == WS_BINARY || session->compressed) {
        ws_unmask(dst, src, len, session->mask);
        return true;
    }
    session->utf8 = ws_unmask_text(dst, src, len, session->mask, session->utf8);
    return last ? session->utf8 == UTF8_ACCEPT : session->utf8 != UTF8_REJECT;
}

/* The message is over, with these bytes of it to hand up. */
static void hand_up(struct ws_session *session, const uint8_t *data, size_t len)
{
    bool binary = session->opcode == WS_BINARY;

    session->opcode = 0;
    session->ops->on_message(session, data, len, binary);
}

static void hand_up_inflated(struct ws_session *session, const uint8_t *data, size_t len)
{
    struct buf message = ws_inflate_take();
    int rc = ws_inflate(&message, data, len, session->max_message);

    if (rc == -EMSGSIZE)
        ws_session_fail(session, CLOSE_TOO_LARGE, "Message is too large: %zu > %" PRIu64, message.len,
                        session->max_message);
    else if (rc == -ETIME)
        ws_session_fail(session, CLOSE_TOO_LARGE, "Compressed message takes too long to inflate");
    else if (rc == -EBADMSG)
        ws_session_fail(session, CLOSE_BAD_TEXT, "Compressed message is not valid");
    else if (rc)
        ws_session_fail(session, CLOSE_INTERNAL_ERROR, "Not enough memory for the message");
    else if (session->opcode == WS_TEXT && !utf8_valid(message.data, message.len))
        ws_session_fail(session, CLOSE_BAD_TEXT, "Text is not valid UTF-8");
    else
        hand_up(session, message.data, message.len);
    ws_inflate_give(&message);
}

/* The callback may close or end the session: what it is given belongs to neither by then. Strictly an
 * empty message takes a byte when compressed (RFC 7692 §7.2.3.6), but none can't mean anything else. */
static void deliver(struct ws_session *session, const uint8_t *data, size_t len)
{
    struct buf message = session->message;

    session->message = (struct buf){0};
    if (session->compressed && len > 0)
        hand_up_inflated(session, data, len);
    else
        hand_up(session, data, len);
    buf_fini(&message);
}

/* Takes what is there of the current frame's payload, and returns its length. */
static size_t take_payload(struct ws_session *session, uint8_t *data, size_t len)
{
    if (len > session->frame_left)
        len = (size_t)session->frame_left;
    session->frame_left -= len;
    bool last = session->fin && session->frame_left == 0;

    if (session->close_sent) {
        if (last)
            session->opcode = 0;
        return len;
    }
    if (session->ops->on_payload) {
        session->ops->on_payload(session, len, last);
        if (session->close_received)
            return len;
    }
    bool whole = last && session->message.len == 0; /* nothing of it came earlier */
    uint8_t *dst = data;
    if (!whole && len && !(dst = extend_message(session, len))) {
        ws_session_fail(session, CLOSE_INTERNAL_ERROR, "Not enough memory for the message");
        return len;
    }
    if (!decode(session, dst, data, len, last))
        ws_session_fail(session, CLOSE_BAD_TEXT, "Text is not valid UTF-8");
    else if (whole)
        deliver(session, data, len);
    else if (last)
        deliver(session, session->message.data, session->message.len);
    return len;
}

/* Takes the head of a frame, and as much of the rest as it can. Returns how many bytes it
 * used; 0: more are needed, or the session has failed. */
static size_t take_frame(struct ws_session *session, uint8_t *data, size_t len)
{
    struct ws_head head;
    const char *error;
    int rc = ws_head_read(&head, data, len, session->deflate, &error);

    if (rc < 0)
        ws_session_fail(session, CLOSE_PROTOCOL_ERROR, "%s", error);
    if (rc <= 0)
        return 0;

    size_t head_len = (size_t)rc;
    if (!ws_is_control(head.opcode)) {
        if (!begin_data(session, &head))
            return 0;
        if (session->compressed && head.payload_len > 0)
            return head_len; /* whether there is time to inflate it is asked first */
        return head_len + take_payload(session, data + head_len, len - head_len); /* an empty one ends here */
    }
    size_t frame_len = head_len + (size_t)head.payload_len;
    if (len < frame_len)
        return 0;
    session->trailing = len > frame_len;
    take_control(session, data, frame_len);
    return frame_len;
}

static bool is_ready(struct ws_session *session)
{
    return session->close_sent || !session->ops->ready || session->ops->ready(session);
}

size_t ws_session_feed(struct ws_session *session, uint8_t *data, size_t len)
{
    size_t used = 0;

    while (used < len && !session->close_received && is_ready(session)) {
        size_t n = session->frame_left ? take_payload(session, data + used, len - used)
                                       : take_frame(session, data + used, len - used);
        if (n == 0)
            break;
        used += n;
    }
    return session->close_received ? len : used;
}
