/* ws: how a session behaves over time: messages of all sizes in all pieces, an owner that
 * pauses, what it sends by itself, what memory it takes, and (FESTA_BENCH=1) how fast it is. */
#include "ws_driver.h"

#include <time.h>

#define LIMIT 100000u

/* ---- an allocator that runs out ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#ifndef SANITIZED /* they bring an allocator of their own */
static size_t most_allocated = SIZE_MAX;

void *__libc_realloc(void *old, size_t size);

void *realloc(void *old, size_t size)
{
    return size > most_allocated ? NULL : __libc_realloc(old, size);
}

static void test_no_memory(void **state)
{
    struct driver driver;
    struct buf stream = {0};
    (void)state;

    put_frame(&stream, 0x01, "first", 5);
    put_head(&stream, 0x80, 20000, (const uint8_t[4]){0});
    for (int i = 0; i < 100; i++)
        put_byte(&stream, 'x');
    driver_init(&driver, LIMIT);
    most_allocated = 16384;
    driver_feed(&driver, stream.data, stream.len);
    most_allocated = SIZE_MAX;
    assert_string_equal(driver_text(&driver), "> close 1011 Not enough memory for the message\n"
                                              "failed 1011 Not enough memory for the message\n");
    driver_fini(&driver);
    buf_fini(&stream);
}
#endif

/* ---- messages ---- */

static void feed(struct driver *driver, const struct buf *stream, size_t piece)
{
    for (size_t at = 0; at < stream->len; at += piece)
        driver_feed(driver, stream->data + at, piece < stream->len - at ? piece : stream->len - at);
}

/* Compares what comes out of a stream with a text, for all sizes of pieces. */
static void check_stream(const struct buf *stream, struct buf *expected)
{
    static const size_t pieces[] = {1, 3, 13, 14, 100, 1000, 4096, 65536, SIZE_MAX / 2};

    put_byte(expected, 0);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct driver driver;
        driver_init(&driver, LIMIT);
        feed(&driver, stream, pieces[i]);
        assert_string_equal(driver_text(&driver), (const char *)expected->data);
        driver_fini(&driver);
    }
}

/* One length, around which the form of the head changes, or the way of unmasking: whole, and
 * in fragments with a ping between. */
static void check_length(size_t len)
{
    struct buf whole = {0}, cut = {0}, whole_expected = {0}, cut_expected = {0};
    uint8_t *payload = malloc(len + 1);

    assert_non_null(payload);
    for (size_t i = 0; i < len; i++)
        payload[i] = (uint8_t)(' ' + i % 91);
    put_frame(&whole, 0x81, payload, len);
    put_frame(&whole, 0x82, payload, len);
    assert_int_equal(buf_printf(&whole_expected, "text"), 0);
    say_bytes(&whole_expected, payload, len);
    assert_int_equal(buf_printf(&whole_expected, "binary"), 0);
    say_bytes(&whole_expected, payload, len);

    put_frame(&cut, 0x01, payload, len / 3);
    put_frame(&cut, 0x89, "between", 7);
    put_frame(&cut, 0x00, payload + len / 3, len / 3);
    put_frame(&cut, 0x80, payload + len / 3 * 2, len - len / 3 * 2);
    assert_int_equal(buf_printf(&cut_expected, "> pong between\ntext"), 0);
    say_bytes(&cut_expected, payload, len);

    check_stream(&whole, &whole_expected);
    check_stream(&cut, &cut_expected);
    free(payload);
    buf_fini(&whole);
    buf_fini(&cut);
    buf_fini(&whole_expected);
    buf_fini(&cut_expected);
}

static void test_lengths(void **state)
{
    static const size_t lengths[] = {0,   1,   7,    8,    63,   64,   65,    125,   126,   127,  128,
                                     129, 255, 4095, 4096, 4097, 9999, 65535, 65536, 65537, 99999};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        check_length(lengths[i]);
}

/* A message that is there whole is not copied, and one that has to be kept is kept no longer
 * than needed. */
static const uint8_t *seen_at;
static size_t seen_held;

static void see_message(struct ws_session *session, const uint8_t *data, size_t len, bool binary)
{
    (void)len;
    (void)binary;
    seen_at = data;
    seen_held = session->message.cap;
}

static void test_no_copy(void **state)
{
    static const struct ws_ops seeing = {.on_message = see_message, .write = driver_write};
    struct ws_session session = {0};
    struct buf stream = {0};
    (void)state;

    ws_session_init(&session, &seeing, LIMIT);
    put_text(&stream, "Hello");
    assert_int_equal(ws_session_feed(&session, stream.data, stream.len), stream.len);
    assert_ptr_equal(seen_at, stream.data + 6);
    stream.len = 0;
    put_frame(&stream, 0x01, "", 0);
    put_frame(&stream, 0x80, "Hello", 5);
    assert_int_equal(ws_session_feed(&session, stream.data, stream.len), stream.len);
    assert_ptr_equal(seen_at, stream.data + 12);
    assert_null(session.message.data);
    stream.len = 0;
    put_frame(&stream, 0x01, "Hel", 3);
    put_frame(&stream, 0x80, "lo", 2);
    assert_int_equal(ws_session_feed(&session, stream.data, stream.len), stream.len);
    assert_true(seen_at < stream.data || seen_at > stream.data + stream.len);
    assert_int_equal(seen_held, 0); /* it is the session's no more: the callback may end that */
    assert_null(session.message.data);
    ws_session_fini(&session);
    buf_fini(&stream);
}

/* To announce much costs nothing; what arrives is allocated at most twice. */
static void test_memory(void **state)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    const struct buf *message;
    struct driver driver;
    struct buf stream = {0};
    uint8_t *block = calloc(1, 40000);
    (void)state;

    assert_non_null(block);
    driver_init(&driver, UINT64_MAX);
    message = &driver.session.message;
    put_head(&stream, 0x82, 1ull << 40, mask);
    driver_feed(&driver, stream.data, stream.len);
    assert_null(message->data);
    driver_feed(&driver, block, 1);
    assert_int_equal(message->len, 1);
    assert_true(message->cap <= 1 + 65536);
    for (int i = 0; i < 100; i++) {
        driver_feed(&driver, block, 40000);
        size_t arrived = 1 + 40000 * (size_t)(i + 1);
        assert_int_equal(message->len, arrived);
        assert_true(message->cap <= 2 * arrived + 65536);
    }
    assert_true(ws_session_close(&driver.session, 1001, NULL, 0)); /* gives it up at once */
    assert_null(message->data);
    driver_feed(&driver, block, 40000);
    assert_null(message->data);
    driver_fini(&driver);

    /* what is announced is allocated once, and no more than that */
    driver_init(&driver, LIMIT);
    message = &driver.session.message;
    stream.len = 0;
    put_head(&stream, 0x82, 50000, mask);
    driver_feed(&driver, stream.data, stream.len);
    driver_feed(&driver, block, 1000);
    assert_int_equal(message->cap, 50000);
    driver_feed(&driver, block, 40000);
    assert_int_equal(message->cap, 50000);
    driver_feed(&driver, block, 9000);
    assert_null(message->data);
    driver_fini(&driver);

    /* a session that fails, or ends, in the middle of a message */
    driver_init(&driver, LIMIT);
    stream.len = 0;
    put_frame(&stream, 0x01, "part", 4);
    driver_feed(&driver, stream.data, stream.len);
    assert_non_null(driver.session.message.data);
    put_byte(&stream, 0xff);
    driver_feed(&driver, stream.data + stream.len - 1, 1);
    assert_int_equal(driver.ends, 1);
    assert_null(driver.session.message.data);
    driver_fini(&driver);
    free(block);
    buf_fini(&stream);
}

/* ---- the owner's doings ---- */

/* A buffer of many frames, of which the owner takes only so many at a time. */
static void test_ready(void **state)
{
    struct driver driver;
    struct buf stream = {0};
    (void)state;

    for (int i = 0; i < 5; i++) {
        put_text(&stream, "a");
        put_frame(&stream, 0x89, "p", 1);
        put_frame(&stream, 0x02, "b", 1);
        put_frame(&stream, 0x80, "c", 1);
    }
    driver_init(&driver, LIMIT);
    driver.ready_for = 0;
    driver_feed(&driver, stream.data, stream.len);
    assert_int_equal(driver.left.len, stream.len);
    assert_string_equal(driver_text(&driver), "");
    for (int i = 0; i < 20; i++) {
        static const char *const lines[] = {"text a\n", "> pong p\n", "", "binary bc\n"};
        driver.ready_for = 1;
        driver.out.len = 0;
        driver_feed(&driver, NULL, 0);
        assert_string_equal(driver_text(&driver), lines[i % 4]);
    }
    assert_int_equal(driver.left.len, 0);
    driver_fini(&driver);

    /* in the middle of a frame: its end is not looked at */
    driver_init(&driver, LIMIT);
    driver_feed(&driver, stream.data, 6);
    driver.ready_for = 0;
    driver_feed(&driver, stream.data + 6, stream.len - 6);
    assert_string_equal(driver_text(&driver), "");
    assert_int_equal(driver.left.len, stream.len - 6);
    driver.ready_for = 2;
    driver_feed(&driver, NULL, 0);
    assert_string_equal(driver_text(&driver), "text a\n> pong p\n");

    /* the peer's close is read whether anybody is ready or not */
    driver.out.len = 0;
    driver.ready_for = 0;
    assert_true(ws_session_close(&driver.session, 1001, NULL, 0));
    stream.len = 0;
    put_frame(&stream, 0x88, "\x03\xe9", 2);
    driver_feed(&driver, stream.data, stream.len);
    assert_string_equal(driver_text(&driver), "> close 1001\nclosed 1001\n");
    driver_fini(&driver);
    buf_fini(&stream);
}

static void test_sending(void **state)
{
    struct driver driver;
    struct buf expected = {0}, euros = {0};
    (void)state;

    driver_init(&driver, LIMIT);
    ws_session_ping(&driver.session);
    assert_true(ws_session_close(&driver.session, 4999, "Why", 3));
    assert_false(ws_session_close(&driver.session, 1000, "Again", 5));
    ws_session_ping(&driver.session);
    assert_string_equal(driver_text(&driver), "> ping\n> close 4999 Why\n");
    driver_fini(&driver);

    driver_init(&driver, LIMIT);
    assert_true(ws_session_close(&driver.session, 0, "never seen", 10));
    assert_string_equal(driver_text(&driver), "> close\n");
    driver_fini(&driver);

    /* 2 bytes and 40 times 3 are 122; another character would end at 125 */
    assert_int_equal(buf_printf(&euros, "12"), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(buf_printf(&euros, "\xe2\x82\xac"), 0);
    driver_init(&driver, LIMIT);
    assert_true(ws_session_close(&driver.session, 1000, (const char *)euros.data, euros.len));
    assert_int_equal(buf_printf(&expected, "> close 1000"), 0);
    say_bytes(&expected, euros.data, 122);
    put_byte(&expected, 0);
    assert_string_equal(driver_text(&driver), (const char *)expected.data);
    driver_fini(&driver);
    buf_fini(&expected);
    buf_fini(&euros);
}

/* A session that has ended, or was never begun, does nothing. */
static void test_fini(void **state)
{
    struct driver driver;
    struct buf stream = {0};
    (void)state;

    ws_session_fini(NULL);
    ws_session_fini(&(struct ws_session){0});
    ws_thread_fini();
    ws_thread_fini();

    driver_init(&driver, LIMIT);
    put_text(&stream, "Hello");
    ws_session_fini(&driver.session);
    assert_int_equal(ws_session_feed(&driver.session, stream.data, stream.len), stream.len);
    ws_session_ping(&driver.session);
    assert_false(ws_session_close(&driver.session, 1000, NULL, 0));
    assert_string_equal(driver_text(&driver), "");
    driver_fini(&driver);
    buf_fini(&stream);
}

/* The optional functions may be missing. */
static void test_bare_ops(void **state)
{
    static const struct ws_ops bare = {
        .on_message = driver_on_message,
        .on_close = driver_on_close,
        .on_fail = driver_on_fail,
        .write = driver_write,
    };
    struct driver driver;
    struct buf stream = {0};
    (void)state;

    driver_init(&driver, LIMIT);
    driver.session.ops = &bare;
    put_frame(&stream, 0x8a, "pong", 4);
    put_text(&stream, "a");
    driver_feed(&driver, stream.data, stream.len);
    assert_string_equal(driver_text(&driver), "text a\n");
    driver_fini(&driver);
    buf_fini(&stream);
}

/* ---- speed ---- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void count_message(struct ws_session *session, const uint8_t *data, size_t len, bool binary)
{
    (void)binary;
    assert_int_equal(data[len - 1], 'z');
    driver_of(session)->messages++;
}

/* A text of 1 MiB, whole and in the pieces of a socket; FESTA_BENCH=1 prints how fast. */
static void test_large_text(void **state)
{
    static const struct ws_ops counting = {
        .on_message = count_message,
        .on_close = driver_on_close,
        .on_fail = driver_on_fail,
        .write = driver_write,
    };
    size_t len = 1024 * 1024, pieces[] = {SIZE_MAX / 2, 65536, 1400};
    uint8_t *text = malloc(len);
    struct buf stream = {0}, copy = {0};
    (void)state;

    assert_non_null(text);
    memset(text, 'z', len);
    put_frame(&stream, 0x81, text, len);
    assert_int_equal(buf_reserve(&copy, stream.len), 0);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        unsigned rounds = getenv("FESTA_BENCH") ? 100 : 3;
        double best = 1e9;
        struct driver driver;

        driver_init(&driver, len);
        driver.session.ops = &counting;
        for (unsigned round = 0; round < rounds; round++) {
            memcpy(copy.data, stream.data, stream.len); /* it is unmasked in place */
            double begin = seconds();
            for (size_t at = 0; at < stream.len;) {
                size_t n = stream.len - at < pieces[i] ? stream.len - at : pieces[i];
                size_t used = ws_session_feed(&driver.session, copy.data + at, n);
                assert_int_equal(used, n);
                at += used;
            }
            double took = seconds() - begin;
            best = took < best ? took : best;
        }
        assert_int_equal(driver.messages, rounds);
        if (getenv("FESTA_BENCH"))
            print_message("1 MiB of text in pieces of %zu: %.1f GB/s\n",
                          pieces[i] < stream.len ? pieces[i] : stream.len, (double)len / best / 1e9);
        driver_fini(&driver);
    }
    if (getenv("FESTA_BENCH"))
        print_message("struct ws_session: %zu bytes\n", sizeof(struct ws_session));
    free(text);
    buf_fini(&stream);
    buf_fini(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifndef SANITIZED
        cmocka_unit_test(test_no_memory),
#endif
        cmocka_unit_test(test_lengths),   cmocka_unit_test(test_no_copy),    cmocka_unit_test(test_memory),
        cmocka_unit_test(test_ready),     cmocka_unit_test(test_sending),    cmocka_unit_test(test_fini),
        cmocka_unit_test(test_bare_ops),  cmocka_unit_test(test_large_text),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_thread_fini();
    return failed;
}
