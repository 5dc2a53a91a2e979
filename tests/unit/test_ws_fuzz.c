/* ws: random streams, right ones and wrong ones, in random pieces, against a parser that has
 * all bytes before it and goes through them one by one. */
#include "ws_driver.h"

#define ROUNDS 20000

/* ---- chance ---- */

static uint64_t chance_state;

static uint64_t chance(uint64_t below)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return (chance_state >> 11) % below;
}

/* ---- the other parser ---- */

/* Is it one character and nothing else? */
static bool is_character(const uint8_t *s, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t point = len == 1 ? s[0] : s[0] & (0x7fu >> len);

    if (len == 1)
        return point < 0x80;
    if ((unsigned)s[0] >> (7 - len) != (2u << len) - 2) /* as many ones as bytes, and a zero */
        return false;
    for (size_t i = 1; i < len; i++) {
        if (s[i] >> 6 != 2)
            return false;
        point = point << 6 | (s[i] & 0x3f);
    }
    return point >= least[len] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
}

/* Can a character begin like this? Tries out how it could go on. */
static bool is_beginning(const uint8_t *s, size_t len)
{
    static const uint8_t next[] = {0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf};
    uint8_t whole[4];

    memcpy(whole, s, len);
    if (len > 1 && is_character(whole, len))
        return true;
    if (len == 4)
        return false;
    for (size_t i = 0; i < sizeof next; i++) {
        whole[len] = next[i];
        if (is_character(whole, len + 1) || is_beginning(whole, len + 1))
            return true;
    }
    return false;
}

static bool is_text(const uint8_t *s, size_t len, bool at_its_end)
{
    while (len) {
        size_t n = 1;
        while (n < 4 && n < len && !is_character(s, n))
            n++;
        if (!is_character(s, n))
            return !at_its_end && len < 4 && is_beginning(s, len);
        s += n;
        len -= n;
    }
    return true;
}

struct reference {
    const uint8_t *at, *end;
    uint64_t limit;
    unsigned close_at, messages;
    bool closed; /* a close frame was sent */
    int opcode;  /* of the message under way */
    struct buf message, out;
};

__attribute__((format(printf, 2, 3))) static void note(struct reference *ref, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    assert_int_equal(buf_vprintf(&ref->out, format, args), 0);
    va_end(args);
}

static bool note_failure(struct reference *ref, int code)
{
    if (!ref->closed)
        note(ref, "> close %d\n", code);
    note(ref, "failed %d\n", code);
    return false;
}

static bool reference_close(struct reference *ref, const uint8_t *payload, size_t len)
{
    unsigned code = len < 2 ? 1005 : payload[0] * 256u + payload[1];
    bool good = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
                (code >= 3000 && code <= 4999) || len == 0;

    if (len == 1 || !good)
        return note_failure(ref, 1002);
    if (len > 2 && !is_text(payload + 2, len - 2, true))
        return note_failure(ref, 1007);
    if (!ref->closed)
        note(ref, len ? "> close %u\n" : "> close\n", code);
    note(ref, "closed %u\n", code);
    return false;
}

static bool reference_message(struct reference *ref)
{
    note(ref, ref->opcode == 1 ? "text" : "binary");
    say_bytes(&ref->out, ref->message.data, ref->message.len);
    ref->opcode = 0;
    ref->message.len = 0;
    if (++ref->messages == ref->close_at) {
        note(ref, "> close 4000\n");
        ref->closed = true;
    }
    return true;
}

/* One frame. False: nothing follows it, or it is not whole. */
static bool reference_frame(struct reference *ref)
{
    const uint8_t *s = ref->at;
    size_t there = (size_t)(ref->end - s), head = 2;
    uint8_t plain[131];

    if (there < 1)
        return false;
    int fin = s[0] / 128, reserved = s[0] / 16 % 8, opcode = s[0] % 16;
    if (reserved || (opcode > 2 && opcode < 8) || opcode > 10 || (opcode >= 8 && !fin))
        return note_failure(ref, 1002);
    if (there < 2)
        return false;
    uint64_t len = s[1] % 128;
    if (s[1] < 128 || (opcode >= 8 && len > 125))
        return note_failure(ref, 1002);
    if (len >= 126) {
        size_t more = len == 126 ? 2 : 8;
        if (there < head + more)
            return false;
        for (len = 0; head < 2 + more; head++)
            len = len * 256 + s[head];
        if (len < 126 || (more == 8 && (len < 65536 || len > INT64_MAX)))
            return note_failure(ref, 1002);
    }
    head += 4;
    if (there < head)
        return false;
    if (opcode >= 8) {
        if (there < head + len)
            return false;
        for (size_t i = 0; i < len; i++)
            plain[i] = s[head + i] ^ s[head - 4 + i % 4];
        ref->at += head + len;
        if (opcode == 8)
            return reference_close(ref, plain, (size_t)len);
        if (opcode == 10)
            note(ref, "pong\n");
        if (opcode == 10 || ref->closed)
            return true;
        note(ref, "> pong");
        say_bytes(&ref->out, plain, (size_t)len);
        return true;
    }
    if (!opcode == !ref->opcode)
        return note_failure(ref, 1002);
    if (!ref->closed && ref->message.len + len > ref->limit)
        return note_failure(ref, 1009);
    if (opcode)
        ref->opcode = opcode;
    size_t here = there - head < len ? there - head : (size_t)len;
    for (size_t i = 0; i < here && !ref->closed; i++)
        put_byte(&ref->message, s[head + i] ^ s[head - 4 + i % 4]);
    bool last = fin && here == len;
    if (!ref->closed && ref->opcode == 1 && !is_text(ref->message.data, ref->message.len, last))
        return note_failure(ref, 1007);
    if (here < len)
        return false;
    ref->at += head + here;
    if (last && !ref->closed)
        return reference_message(ref);
    if (last)
        ref->opcode = 0;
    return true;
}

/* ---- streams ---- */

static size_t some_length(void)
{
    static const size_t interesting[] = {0, 1, 7, 8, 63, 64, 65, 124, 125, 126, 127, 1000, 65535, 65536};
    switch (chance(8)) {
    case 0: return interesting[chance(chance(10) ? 12 : 14)];
    case 1: return chance(300);
    default: return chance(20);
    }
}

/* Characters of all lengths; now and then a byte that does not belong there. */
static void some_text(struct buf *out, size_t len)
{
    static const char *const pool[] = {"\xc2\x80",         "\xdf\xbf",        "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",     "\xe2\x82\xac",    "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    bool ascii = chance(2);
    out->len = 0;
    while (out->len < len) {
        const char *character = ascii || chance(3) ? "x" : pool[chance(8)];
        assert_int_equal(buf_append(out, character, strlen(character)), 0);
    }
    if (len && !chance(15))
        out->data[chance(len)] = (uint8_t)chance(256);
    if (!chance(4)) /* may cut a character */
        out->len = len;
}

static void some_close(struct buf *out)
{
    static const unsigned codes[] = {1000, 1001, 1003, 1007, 1011, 1014, 3000,
                                     4999, 1005, 1006, 999,  2999, 5000};
    unsigned code = codes[chance(chance(3) ? 8 : 13)];

    some_text(out, chance(20));
    if (out->len >= 2) {
        out->data[0] = (uint8_t)(code >> 8);
        out->data[1] = (uint8_t)code;
    }
}

/* Frames in an order that is right, but for the mistakes. */
static void some_frames(struct buf *out)
{
    struct buf payload = {0};
    bool fragmented = false, careful = chance(2);

    for (uint64_t n = 1 + chance(12); n > 0; n--) {
        unsigned first;
        if (!chance(12)) {
            first = 0x88;
            some_close(&payload);
        } else if (!chance(4)) {
            first = chance(2) ? 0x89 : 0x8a;
            some_text(&payload, chance(careful ? 122 : 130));
        } else {
            first = (fragmented ? 0 : 1 + (unsigned)chance(2)) | (chance(2) ? 0x80 : 0);
            fragmented = !(first & 0x80);
            some_text(&payload, some_length());
        }
        if (!careful && !chance(10))
            first ^= 1u << chance(8);
        size_t begin = out->len;
        put_frame(out, first, payload.data, payload.len);
        if (!careful && !chance(20)) /* somewhere in its head */
            out->data[begin + chance(6)] ^= (uint8_t)(1u << chance(8));
    }
    if (!chance(3)) /* it may end anywhere */
        out->len = chance(out->len + 1);
    buf_fini(&payload);
}

static void some_bytes(struct buf *out)
{
    for (uint64_t n = chance(40); n > 0; n--)
        put_byte(out, chance(3) ? chance(256) : 0x80 | chance(11));
}

/* ---- the comparison ---- */

static void feed_somehow(struct driver *driver, const struct buf *stream)
{
    static const size_t sizes[] = {1, 2, 16, 200, 5000, 100000};
    size_t size = sizes[chance(6)], at = 0;
    bool pausing = !chance(4);

    while (at < stream->len) {
        size_t n = 1 + chance(size);
        if (n > stream->len - at)
            n = stream->len - at;
        if (pausing)
            driver->ready_for = (unsigned)chance(3);
        driver_feed(driver, stream->data + at, n);
        at += n;
    }
    driver->ready_for = UINT32_MAX;
    driver_feed(driver, NULL, 0);
}

static void check_round(uint64_t seed)
{
    struct buf stream = {0};
    struct driver driver;

    chance_state = seed * 0x9e3779b97f4a7c15u;
    if (chance(20))
        some_frames(&stream);
    else
        some_bytes(&stream);
    assert_int_equal(buf_reserve(&stream, 1), 0);
    struct reference ref = {
        .at = stream.data,
        .end = stream.data + stream.len,
        .limit = chance(3) ? 100000 : chance(200),
        .close_at = (unsigned)chance(8),
    };
    while (reference_frame(&ref))
        continue;
    put_byte(&ref.out, 0);

    for (int i = 0; i < 3; i++) {
        driver_init(&driver, ref.limit);
        driver.brief = true;
        driver.close_at = ref.close_at;
        feed_somehow(&driver, &stream);
        if (strcmp(driver_text(&driver), (const char *)ref.out.data) != 0)
            fail_msg("seed %llu, limit %llu: the session says\n%sbut it is\n%s", (unsigned long long)seed,
                     (unsigned long long)ref.limit, driver_text(&driver), (const char *)ref.out.data);
        driver_fini(&driver);
    }
    buf_fini(&ref.message);
    buf_fini(&ref.out);
    buf_fini(&stream);
}

static void test_streams(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        check_round(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_thread_fini();
    return failed;
}
