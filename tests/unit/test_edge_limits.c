/* What one WebSocket may send, and how many a room may have. */
#include "edge_ws_driver.h"

static struct world *world_with(uint64_t messages, uint64_t bytes)
{
    struct world *world = world_new();
    if (messages)
        world->config.limits.messages_per_second = messages;
    if (bytes)
        world->config.limits.bytes_per_second = bytes;
    world_open(world);
    return world;
}

static void expect_over(struct world *world, struct client *client, const char *close)
{
    expect_frame(world, client, close);
    assert_string_equal(next_frame(world, client), "end");
    client_close(client);
}

static void messages_in_a_second(void **state)
{
    (void)state;
    struct world *world = world_with(3, 0);
    struct client a = socket_open(world, "a", false), b = socket_open(world, "b", false);
    struct buf frames = {0};

    for (int i = 0; i < 3; i++)
        put_text(&frames, "x");
    put_frame(&frames, 0x01, "fra", 3); /* a message is one, whatever its fragments */
    put_frame(&frames, 0x00, "gme", 3);
    put_frame(&frames, 0x80, "nts", 3);
    put_text(&frames, "never seen");
    client_send_bytes(world, &a, frames.data, frames.len);
    expect_over(world, &a, "close 1008 Too many messages: 4 > 3 (messagesPerSecond)");
    WAIT_SAID(world, "connect a /\nconnect b /\ntext a x\ntext a x\ntext a x\n"
                     "error a Too many messages: 4 > 3 (messagesPerSecond)\n"
                     "close a 1008 Too many messages: 4 > 3 (messagesPerSecond) unclean\n");
    assert_int_equal(world->counters.sockets_over_rate, 1);
    assert_int_equal(world->counters.sockets_protocol_errors, 0);
    for (int i = 0; i < 3; i++)
        client_text(world, &b, "y");
    WAIT_SAID(world, "text b y\ntext b y\ntext b y\n");
    client_close(&b);
    buf_fini(&frames);
    world_close(world);
}

/* Frames are sent in one piece, so that no time passes between them. */
static void bytes_in_a_second(void **state)
{
    (void)state;
    struct world *world = world_with(0, 10);
    struct client a = socket_open(world, "a", false), b = socket_open(world, "b", false);
    struct buf frames = {0};

    put_text(&frames, "12345");
    put_frame(&frames, 0x89, "pings are no data", 17);
    put_text(&frames, "");
    put_text(&frames, "67890");
    put_text(&frames, "a");
    client_send_bytes(world, &a, frames.data, frames.len);
    expect_frame(world, &a, "pong pings are no data");
    expect_over(world, &a, "close 1008 Too many bytes: 11 > 10 (bytesPerSecond)");
    WAIT_SAID(world, "connect a /\nconnect b /\ntext a 12345\ntext a \ntext a 67890\n"
                     "error a Too many bytes: 11 > 10 (bytesPerSecond)\n"
                     "close a 1008 Too many bytes: 11 > 10 (bytesPerSecond) unclean\n");

    /* Fragments count as they come, not when the message is whole. */
    frames.len = 0;
    put_frame(&frames, 0x02, "1234567890", 10);
    put_frame(&frames, 0x00, "123", 3);
    client_send_bytes(world, &b, frames.data, frames.len);
    expect_over(world, &b, "close 1008 Too many bytes: 13 > 10 (bytesPerSecond)");
    buf_fini(&frames);
    world_close(world);
}

static void one_message_over_the_second_s_worth(void **state)
{
    (void)state;
    struct world *world = world_with(0, 1000);
    struct client a = socket_open(world, "a", false);
    char data[1001];

    memset(data, 'x', sizeof data);
    client_frame(world, &a, 0x81, data, 1001);
    expect_over(world, &a, "close 1008 Too many bytes: 1001 > 1000 (bytesPerSecond)");
    world_close(world);
}

/* The first handler of a message waits; meanwhile the room can take nothing. */
static enum act wait_first(struct world *world, struct room *room, struct event *event)
{
    (void)room;
    bool first = event->kind == EVENT_MESSAGE && event->len == 1 && event->data[0] == '1';
    (void)world;
    return first ? ACT_WAIT : ACT_DONE;
}

static void what_waited_for_the_room_is_excused(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.messages_per_second = 10;
    world->config.limits.bytes_per_second = 40;
    world->config.limits.handlers = 1;
    world->handler = wait_first;
    world_open(world);
    struct client a = socket_open(world, "a", false);

    client_text(world, &a, "1");
    WAIT_SAID(world, "connect a /\ntext a 1\n");
    client_text(world, &a, "2");
    WAIT(world, newest_socket(world)->held_since != 0);
    for (int i = 3; i < 20; i++)
        client_text(world, &a, "more");
    newest_socket(world)->held_since -= 3000; /* as if three seconds had passed */
    world->quiet = true;
    wake(world);
    WAIT(world, world->counters.messages_received == 19);
    assert_int_equal(newest_socket(world)->held_since, 0);
    for (int i = 0; i < 40; i++)
        client_text(world, &a, "x");
    WAIT(world, world->counters.sockets_over_rate == 1);
    client_close(&a);
    world_close(world);
}

/* Each is answered until much is to be written; then the newest. */
static void many_pings_in_one_read(void **state)
{
    (void)state;
    struct world *world = world_with(0, 0);
    struct client a = socket_open(world, "a", false);
    struct ws_socket *socket = newest_socket(world);
    struct buf all = {0};
    char text[126];
    int number, seen = 0;

    world->quiet = true;
    WAIT(world, socket->peer.state == PEER_OPEN);
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof text, "%-125d", i);
        put_frame(&all, 0x89, text, 125);
    }
    assert_int_equal(socket->conn->ops->on_read(socket->conn, all.data, all.len), all.len);
    assert_in_range(conn_pending(socket->conn), 128 * 1024, 128 * 1024 + 2 * 127);
    assert_null(socket->pong);
    do {
        assert_int_equal(sscanf(next_frame(world, &a), "pong %d", &number), 1);
        assert_true(number == seen || number == 2999);
        seen++;
    } while (number != 2999);
    assert_in_range(seen, 1000, 1100);
    client_text(world, &a, "alive");
    WAIT(world, world->counters.messages_received == 1);
    assert_int_equal(a.in.len, 0);
    buf_fini(&all);
    client_close(&a);
    world_close(world);
}

static void a_flood_of_pings_and_pongs(void **state)
{
    (void)state;
    for (unsigned first = 0x89; first <= 0x8a; first++) {
        struct world *world = world_with(0, 0);
        struct client a = socket_open(world, "a", false), b = socket_open(world, "b", false);
        struct buf frames = {0};

        world->quiet = true;
        for (int i = 0; i < 20000; i++)
            put_frame(&frames, first, "", 0);
        client_send_bytes(world, &a, frames.data, frames.len);
        const char *frame = next_frame(world, &a);
        while (strncmp(frame, "pong", 4) == 0)
            frame = next_frame(world, &a);
        if (strncmp(frame, "close 1008 Too many pings and pongs: 10001 > 10000 in a second", 62) != 0)
            fail_msg("%s", frame);
        assert_string_equal(next_frame(world, &a), "end");
        client_close(&a);
        assert_int_equal(world->counters.sockets_over_rate, 1);
        client_frame(world, &b, 0x89, "b", 1);
        expect_frame(world, &b, "pong b");
        client_close(&b);
        buf_fini(&frames);
        world_close(world);
    }
}

static enum act send_much(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    (void)room;
    if (event->kind == EVENT_MESSAGE) {
        struct bytes *data = bytes_new(1 << 20);
        memset(data->data, 'x', data->len);
        for (int i = 0; i < 3; i++)
            assert_int_equal(room_send(event->peer, data, true), 0);
        bytes_unref(data);
    }
    return ACT_DONE;
}

static void one_pong_waits_for_a_client_that_does_not_read(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = send_much;
    world->sndbuf = 4096;
    world_open(world);
    struct client a = socket_open(world, "a", true);
    struct ws_socket *socket = newest_socket(world);
    char text[8];

    client_text(world, &a, "go");
    WAIT(world, socket->conn->waiting);
    for (int i = 0; i < 200; i++) {
        int n = snprintf(text, sizeof text, "%d", i);
        client_frame(world, &a, 0x89, text, (size_t)n);
        WAIT(world, socket->pong && socket->pong->len == (size_t)n &&
                        memcmp(socket->pong->data, text, (size_t)n) == 0);
    }
    for (int i = 0; i < 3; i++)
        assert_memory_equal(next_frame(world, &a), "binary xxx", 10);
    expect_frame(world, &a, "pong 199");
    client_frame(world, &a, 0x89, "now", 3);
    expect_frame(world, &a, "pong now");
    assert_null(socket->pong);
    client_close(&a);
    world_close(world);
}

/* ---- connections of a room ---- */

static void expect_full(struct world *world, const char *id)
{
    struct client client = socket_ask(world, id, false);

    expect_bytes(world, &client, "HTTP/1.1 503 Service Unavailable\r\n");
    WAIT(world, (client_read(&client, SIZE_MAX), client.ended));
    assert_non_null(memmem(client.in.data, client.in.len,
                           "The room is full: it may have 2 connections (connectionsPerRoom)", 63));
    client_close(&client);
}

static void a_room_is_full(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.connections_per_room = 2;
    world_open(world);
    struct client a = socket_open(world, "a", false), b = socket_open(world, "b", false);

    expect_full(world, "c");
    expect_full(world, "a"); /* an id may be there twice, and counts twice */
    WAIT_SAID(world, "connect a /\nconnect b /\n");
    assert_int_equal(world->counters.sockets_refused, 2);
    client_close_frame(world, &a, 1000, "");
    expect_frame(world, &a, "close 1000");
    struct client c = socket_open(world, "c", false); /* the place is free at once */
    expect_full(world, "d");
    WAIT_SAID(world, "close a 1000 clean\nconnect c /\n");
    client_close(&a);
    client_close(&b);
    client_close(&c);
    world_close(world);
}

static void a_newcomer_that_replaces_takes_no_place(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.connections_per_room = 2;
    world->party.duplicate = DUPLICATE_REPLACE;
    world_open(world);
    struct client a = socket_open(world, "a", false), b = socket_open(world, "b", false);

    struct client again = socket_open(world, "a", false);
    expect_frame(world, &a, "close 4409 Replaced by a newer connection");
    expect_full(world, "c");
    assert_int_equal(the_room(world)->n_connected, 2);
    client_close(&a);
    client_close(&b);
    client_close(&again);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_in_a_second),
        cmocka_unit_test(bytes_in_a_second),
        cmocka_unit_test(one_message_over_the_second_s_worth),
        cmocka_unit_test(what_waited_for_the_room_is_excused),
        cmocka_unit_test(many_pings_in_one_read),
        cmocka_unit_test(a_flood_of_pings_and_pongs),
        cmocka_unit_test(one_pong_waits_for_a_client_that_does_not_read),
        cmocka_unit_test(a_room_is_full),
        cmocka_unit_test(a_newcomer_that_replaces_takes_no_place),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
