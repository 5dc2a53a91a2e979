/* ws: control frames by the thread's codec, which has to come out of every error unharmed. */
#include "ws/control.h"
#include "ws_frames.h"

#include <errno.h>
#include <pthread.h>

static void check_read(unsigned opcode, const uint8_t *payload, size_t len)
{
    struct ws_control control;
    struct buf frame = {0};

    put_frame(&frame, 0x80 | opcode, payload, len);
    assert_int_equal(ws_control_read(&control, frame.data, frame.len), 0);
    assert_int_equal(control.opcode, opcode);
    assert_int_equal(control.len, len);
    assert_memory_equal(control.payload, payload, len);
    buf_fini(&frame);
}

static void test_read(void **state)
{
    uint8_t payload[WS_CONTROL_MAX];
    (void)state;

    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 37);
    for (size_t len = 0; len <= sizeof payload; len++) {
        for (unsigned opcode = WS_CLOSE; opcode <= WS_PONG; opcode++)
            check_read(opcode, payload, len);
    }
}

static void test_write(void **state)
{
    static const enum ws_opcode opcodes[] = {WS_CLOSE, WS_PING, WS_PONG};
    uint8_t payload[WS_CONTROL_MAX], frame[WS_CONTROL_FRAME_MAX];
    (void)state;

    memset(payload, 'x', sizeof payload);
    for (size_t len = 0; len <= sizeof payload; len++) {
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(ws_control_write(frame, opcodes[i], len ? payload : NULL, len), len + 2);
            assert_int_equal(frame[0], 0x80u | opcodes[i]);
            assert_int_equal(frame[1], len);
            assert_memory_equal(frame + 2, payload, len);
        }
    }
}

/* Whatever is no whole control frame is refused, and the next one is read as if nothing had
 * been; so is one that is written. */
static void test_errors(void **state)
{
    static const struct test_frame bad[] = {
        RAW(""),
        RAW("\x89"),
        RAW("\x89\x81\1\2\3"),                   /* half a mask */
        RAW("\x89\x83\1\2\3\4xy"),               /* not all of its payload */
        RAW("\x89\x81\1\2\3\4xy"),               /* more than it */
        RAW("\x89\x80\1\2\3\4\x89\x80\1\2\3\4"), /* two */
        RAW("\x89\x02xy"),                       /* not masked */
        RAW("\x09\x80\1\2\3\4"),                 /* a fragment */
        RAW("\x89\xfe\x00\x7e\1\2\3\4"),         /* too long */
        RAW("\x81\x81\1\2\3\4x"),                /* data */
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ws_control control;
        uint8_t frame[WS_CONTROL_FRAME_MAX];

        assert_int_equal(ws_control_read(&control, (const uint8_t *)bad[i].payload, bad[i].len), -EPROTO);
        check_read(WS_PING, (const uint8_t *)"after an error", 14);
        assert_int_equal(ws_control_read(&control, (const uint8_t *)bad[i].payload, bad[i].len), -EPROTO);
        assert_int_equal(ws_control_write(frame, WS_PONG, "x", 1), 3);
        assert_memory_equal(frame, "\x8a\x01x", 3);
    }
}

static void *use_and_end(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++)
        check_read(WS_CLOSE, (const uint8_t *)"\x03\xe8 of this thread", 17);
    ws_control_fini();
    ws_control_fini(); /* twice does no harm, nor does using it again */
    check_read(WS_PONG, (const uint8_t *)"again", 5);
    ws_control_fini();
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    (void)state;

    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_and_end, NULL), 0);
    use_and_end(NULL);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_threads),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_control_fini();
    return failed;
}
