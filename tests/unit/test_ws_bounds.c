/* What a session counts for its owner, and what it bounds itself: payloads as they come, pings that the owner
 * answers, fragments without payload. */
#include "ws_driver.h"

static void empty_fragments(void **state)
{
    (void)state;
    for (int over = 0; over <= 1; over++) {
        struct driver driver;
        struct buf in = {0};

        driver_init(&driver, 100);
        for (int message = 0; message < 2; message++) { /* they are counted for each message */
            put_frame(&in, 0x01, "", 0);
            for (int i = 1; i < 1000; i++)
                put_frame(&in, 0x00, "", 0);
            put_frame(&in, 0x00, "x", 1); /* those with payload are not */
            put_frame(&in, 0x80, "", 0);
        }
        put_frame(&in, 0x02, "", 0);
        for (int i = 1; i < 1000 + over; i++)
            put_frame(&in, 0x00, "", 0);
        driver_feed(&driver, in.data, in.len);
        assert_string_equal(driver_text(&driver), over ? "text x\ntext x\n> close 1008 Too many empty "
                                                         "fragments: 1001 > 1000\nfailed 1008 Too many "
                                                         "empty fragments: 1001 > 1000\n"
                                                       : "text x\ntext x\n");
        driver_fini(&driver);
        buf_fini(&in);
    }
}

/* ---- an owner that counts and answers ---- */

static size_t bytes_max;

static void count_payload(struct ws_session *session, size_t len, bool last)
{
    struct driver *driver = driver_of(session);

    driver_say(driver, "%zu%s\n", len, last ? " last" : "");
    if (len > bytes_max)
        ws_session_fail(session, 1008, "%zu > %zu", len, bytes_max);
}

static void keep_ping(struct ws_session *session, const uint8_t *payload, size_t len)
{
    driver_say(driver_of(session), "ping");
    say_bytes(&driver_of(session)->out, payload, len);
}

static void counting_init(struct driver *driver)
{
    static struct ws_ops ops;

    driver_init(driver, 100);
    ops = *driver->session.ops;
    ops.on_payload = count_payload;
    ops.on_ping = keep_ping;
    ws_session_init(&driver->session, &ops, 100);
}

static void payloads_are_told_as_they_come(void **state)
{
    (void)state;
    struct driver driver;
    struct buf in = {0};

    bytes_max = 4;
    counting_init(&driver);
    put_frame(&in, 0x01, "ab", 2);
    put_frame(&in, 0x00, "", 0);
    put_frame(&in, 0x80, "cd", 2);
    driver_feed(&driver, in.data, in.len - 1); /* in two pieces */
    driver_feed(&driver, in.data + in.len - 1, 1);
    in.len = 0;
    put_text(&in, "");
    put_text(&in, "efgh");
    put_text(&in, "ijklm");
    put_text(&in, "never");
    driver_feed(&driver, in.data, in.len);
    assert_string_equal(driver_text(&driver), "2\n0\n1\n1 last\ntext abcd\n0 last\ntext\n4 last\ntext efgh\n"
                                              "5 last\n> close 1008 5 > 4\nfailed 1008 5 > 4\n");
    driver_fini(&driver);
    buf_fini(&in);
}

static void in_the_middle_of_a_message(void **state)
{
    (void)state;
    struct driver driver;
    struct buf in = {0};

    bytes_max = 4;
    counting_init(&driver);
    put_frame(&in, 0x02, "abcd", 4);
    put_frame(&in, 0x00, "efghi", 5);
    driver_feed(&driver, in.data, in.len);
    assert_string_equal(driver_text(&driver), "4\n5\n> close 1008 5 > 4\nfailed 1008 5 > 4\n");
    driver_fini(&driver);
    buf_fini(&in);
}

static void not_behind_a_close(void **state)
{
    (void)state;
    struct driver driver;
    struct buf in = {0};

    bytes_max = 4;
    counting_init(&driver);
    assert_true(ws_session_close(&driver.session, 1000, NULL, 0));
    put_text(&in, "too long, but dropped");
    driver_feed(&driver, in.data, in.len);
    assert_string_equal(driver_text(&driver), "> close 1000\n");
    driver_fini(&driver);
    buf_fini(&in);
}

static void the_owner_answers_pings(void **state)
{
    (void)state;
    struct driver driver;
    struct buf in = {0};

    counting_init(&driver);
    put_frame(&in, 0x89, "a", 1);
    put_frame(&in, 0x89, "b", 1);
    driver_feed(&driver, in.data, in.len);
    ws_session_pong(&driver.session, "b", 1);
    assert_string_equal(driver_text(&driver), "ping a\nping b\n> pong b\n");
    driver.out.len = 0;
    assert_true(ws_session_close(&driver.session, 1000, NULL, 0));
    ws_session_pong(&driver.session, "c", 1);
    assert_string_equal(driver_text(&driver), "> close 1000\n");
    driver_fini(&driver);
    buf_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_fragments),
        cmocka_unit_test(payloads_are_told_as_they_come),
        cmocka_unit_test(in_the_middle_of_a_message),
        cmocka_unit_test(not_behind_a_close),
        cmocka_unit_test(the_owner_answers_pings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
