/* edge: how WebSockets end, and what their rooms are told of it. */
#include "edge_ws_driver.h"

/* "close CODE" as a message has the script close with that code, "again" sends it back. */
static enum act obey(struct world *world, struct room *room, struct event *event)
{
    char text[64];
    (void)world;
    (void)room;
    if (event->kind != EVENT_MESSAGE)
        return ACT_DONE;
    snprintf(text, sizeof text, "%.*s", (int)event->len, (const char *)event->data);
    if (strncmp(text, "close ", 6) == 0) {
        unsigned code = (unsigned)strtoul(text + 6, NULL, 10);
        assert_int_equal(room_close_peer(event->peer, (uint16_t)code, "Enough", code ? 6 : 0), 0);
        assert_int_equal(send_text(event->peer, "not sent"), -EPIPE);
    } else {
        assert_int_equal(send_text(event->peer, text), 0);
    }
    return ACT_DONE;
}

/* ---- the closing handshake ---- */

static void the_client_closes(void **state)
{
    (void)state;
    static const struct {
        unsigned code;
        const char *reason, *answer, *said;
    } rows[] = {
        {1000, "", "close 1000", "connect a /\nclose a 1000 clean\n"},
        {1001, "going", "close 1001 going", "connect a /\nclose a 1001 going clean\n"},
        {4999, "\xc3\xbc", "close 4999 \xc3\xbc", "connect a /\nclose a 4999 \xc3\xbc clean\n"},
        {0, "", "close", "connect a /\nclose a 1005 clean\n"},
    };
    struct world *world = world_new();
    world_open(world);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client client = socket_open(world, "a", false);
        client_close_frame(world, &client, rows[i].code, rows[i].reason);
        expect_frame(world, &client, rows[i].answer);
        expect_frame(world, &client, "end");
        assert_true(client.ended); /* in order */
        WAIT_SAID(world, rows[i].said);
        client_close(&client);
    }
    assert_int_equal(world->counters.sockets_closed, 4);
    world_close(world);
}

/* What it must not send it is not reset for, which could cost it what it was sent before. */
static void what_follows_the_clients_close(void **state)
{
    (void)state;
    struct buf frames = {0};
    struct world *world = world_new();
    world_open(world);
    struct client client = socket_open(world, "a", false);

    put_frame(&frames, 0x88, "", 0);
    put_frame(&frames, 0x81, "too late", 8);
    client_send_bytes(world, &client, frames.data, frames.len);
    expect_frame(world, &client, "close");
    expect_frame(world, &client, "end");
    assert_true(client.ended);
    WAIT_SAID(world, "connect a /\nclose a 1005 clean\n");
    client_close(&client);
    buf_fini(&frames);
    world_close(world);
}

static void the_server_closes(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = obey;
    world_open(world);
    struct client client = socket_open(world, "a", false);

    client_text(world, &client, "close 4001");
    expect_frame(world, &client, "close 4001 Enough");
    client_text(world, &client, "dropped");
    client_frame(world, &client, 0x89, "", 0); /* no pong behind a close */
    client_close_frame(world, &client, 4001, "Fine");
    expect_frame(world, &client, "end");
    WAIT_SAID(world, "connect a /\ntext a close 4001\nclose a 4001 Fine clean\n");
    client_close(&client);

    client = socket_open(world, "b", false); /* with no code */
    client_text(world, &client, "close 0");
    expect_frame(world, &client, "close");
    client_close_frame(world, &client, 0, "");
    expect_frame(world, &client, "end");
    WAIT_SAID(world, "connect b /\ntext b close 0\nclose b 1005 clean\n");
    client_close(&client);

    client = socket_open(world, "c", false); /* both at once */
    client_text(world, &client, "close 4001");
    client_close_frame(world, &client, 4002, "Mine");
    expect_frame(world, &client, "close 4001 Enough");
    expect_frame(world, &client, "end");
    WAIT_SAID(world, "connect c /\ntext c close 4001\nclose c 4002 Mine clean\n");
    client_close(&client);
    world_close(world);
}

static void a_close_that_is_not_answered(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.close_timeout = 60;
    world->handler = obey;
    world_open(world);
    struct client client = socket_open(world, "a", false);

    client_text(world, &client, "close 4001");
    expect_frame(world, &client, "close 4001 Enough");
    client_text(world, &client, "still here"); /* is no answer */
    WAIT_SAID(world, "connect a /\ntext a close 4001\nclose a 4001 Enough unclean\n");
    expect_frame(world, &client, "end");
    assert_int_equal(world->counters.timeouts, 1);
    client_close(&client);

    client = socket_open(world, "b", false);
    client_text(world, &client, "close 0");
    WAIT_SAID(world, "connect b /\ntext b close 0\nclose b 1005 unclean\n");
    client_close(&client);
    world_close(world);
}

/* The client goes without an answer to the server's close. */
static void a_close_that_ends_the_connection(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = obey;
    world_open(world);
    for (int how = 0; how < 2; how++) {
        struct client client = socket_open(world, "a", false);
        client_text(world, &client, "close 4001");
        expect_frame(world, &client, "close 4001 Enough");
        if (how == 0)
            client_close(&client);
        else
            client_reset(&client);
        WAIT_SAID(world, "connect a /\ntext a close 4001\nclose a 4001 Enough unclean\n");
        WAIT(world, world->net.n_conns == 0);
    }
    world_close(world);
}

static void clients_that_vanish(void **state)
{
    (void)state;
    struct world *world = world_new();
    world_open(world);
    for (int how = 0; how < 4; how++) {
        struct client client = socket_open(world, "a", false);
        if (how == 0) {
            client_close(&client);
        } else if (how == 1) {
            client_reset(&client);
        } else if (how == 2) {
            assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
            expect_frame(world, &client, "end");
        } else {
            client_send_bytes(world, &client, "\x81\x85\x01\x02", 4); /* inside of a frame */
            client_close(&client);
        }
        WAIT_SAID(world, "connect a /\nclose a 1006 unclean\n");
        WAIT(world, world->net.n_conns == 0);
        client_close(&client);
    }
    assert_int_equal(world->counters.sockets_closed, 4);
    assert_int_equal(world->counters.sockets_protocol_errors, 0);
    world_close(world);
}

static void protocol_errors(void **state)
{
    (void)state;
    static const struct {
        unsigned first;
        const char *payload, *answer, *said;
        size_t len;
    } rows[] = {
        {0x83, "", "close 1002 Opcode is reserved",
         "connect a /\nerror a Opcode is reserved\nclose a 1002 Opcode is reserved unclean\n", 0},
        {0x81, "\xff", "close 1007 Text is not valid UTF-8",
         "connect a /\nerror a Text is not valid UTF-8\nclose a 1007 Text is not valid UTF-8 unclean\n", 1},
        {0x82, "0123456789a", "close 1009 Message is too large: 11 > 10",
         "connect a /\nerror a Message is too large: 11 > 10\nclose a 1009 Message is too large: 11 > 10 "
         "unclean\n",
         11},
        {0x88, "\x03\xed", "close 1002 Close code 1005 is not allowed",
         "connect a /\nerror a Close code 1005 is not allowed\nclose a 1002 Close code 1005 is not allowed "
         "unclean\n",
         2},
    };
    struct world *world = world_new();
    world->config.limits.message = 10;
    world_open(world);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client client = socket_open(world, "a", false);
        client_frame(world, &client, rows[i].first, rows[i].payload, rows[i].len);
        client_text(world, &client, "more");
        expect_frame(world, &client, rows[i].answer);
        expect_frame(world, &client, "end");
        WAIT_SAID(world, rows[i].said);
        client_close(&client);
    }
    assert_int_equal(world->counters.sockets_protocol_errors, sizeof rows / sizeof *rows);
    world_close(world);
}

/* ---- pings ---- */

static void pings(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.ping_interval = 40;
    world_open(world);
    struct client client = socket_open(world, "a", false);

    for (int i = 0; i < 5; i++) { /* whoever answers stays */
        expect_frame(world, &client, "ping ");
        client_frame(world, &client, 0x8a, "", 0);
    }
    for (int i = 0; i < 5; i++) { /* whatever the answer is */
        expect_frame(world, &client, "ping ");
        client_frame(world, &client, 0x82, "x", 1);
    }
    WAIT_SAID(world, "connect a /\nbinary a x\nbinary a x\nbinary a x\nbinary a x\nbinary a x\n");
    assert_int_equal(world->counters.sockets_dead, 0);
    const char *frame; /* two without any, and one may have crossed the last answer */
    int unanswered = 0;
    while (strcmp(frame = next_frame(world, &client), "ping ") == 0)
        unanswered++;
    assert_string_equal(frame, "end");
    assert_in_range(unanswered, 2, 3);
    WAIT_SAID(world, "close a 1006 unclean\n");
    assert_int_equal(world->counters.sockets_dead, 1);
    client_close(&client);
    world_close(world);
}

/* One that is not read, since its room has too much to do, can't show that it lives. */
static void a_socket_that_is_not_read_is_not_dead(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.ping_interval = 30;
    world->config.limits.handlers = 1;
    world->handler = wait_for_requests;
    world_open(world);
    struct client client = socket_open(world, "a", false), busy = client_open(world, false);

    client_send(world, &busy, GET("/party/r/wait"));
    WAIT_SAID(world, "connect a /\nGET /wait\n");
    client_text(world, &client, "one");
    client_text(world, &client, "two");
    for (int i = 0; i < 6; i++) {
        expect_frame(world, &client, "ping ");
        client_frame(world, &client, 0x8a, "", 0);
    }
    assert_true(said(world, ""));
    assert_int_equal(world->counters.sockets_dead, 0);
    wake(world);
    expect_answer(world, &busy, "200 GET /wait ");
    WAIT_SAID(world, "text a one\ntext a two\n"); /* nothing is lost */
    client_close(&client);
    client_close(&busy);
    world_close(world);
}

/* ---- clients that do not read ---- */

static enum act flood(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind != EVENT_MESSAGE)
        return ACT_DONE;
    static char text[60001];
    memset(text, 'x', sizeof text - 1);
    snprintf(text, sizeof text, "%.*s", (int)event->len, (const char *)event->data);
    text[event->len] = ' ';
    assert_int_equal(broadcast_text(room, text), 0);
    return ACT_DONE;
}

/* The others hear everything; it hears whole messages, in order, and then why it is closed. */
static void one_that_does_not_read_is_closed(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) { /* reads in the end; never */
        struct world *world = world_new();
        world->config.limits.queue = 200000;
        world->config.limits.close_timeout = how ? 60 : 30000;
        world->handler = flood;
        world->quiet = true;
        world_open(world);
        struct client reader = socket_open(world, "reader", false);
        world->sndbuf = 8192;
        struct client slow = socket_open(world, "slow", true);
        int sent = 0, got = 0;

        while (world->counters.sockets_slow == 0) {
            char text[16];
            snprintf(text, sizeof text, "%d", ++sent);
            assert_true(sent < 1000);
            client_text(world, &reader, text);
            assert_int_equal(strtol(next_frame(world, &reader) + 5, NULL, 10), sent);
        }
        world->quiet = false;
        struct ws_socket *socket = newest_socket(world);
        assert_true(how == 1 || conn_pending(socket->conn) < 200000);
        if (how == 0) {
            for (;;) {
                const char *frame = next_frame(world, &slow);
                if (strncmp(frame, "text ", 5) != 0) {
                    assert_string_equal(frame, "close 1013 Too much waits to be sent to this connection");
                    break;
                }
                assert_int_equal(strtol(frame + 5, NULL, 10), ++got);
            }
            assert_true(got > 0 && got < sent);
            client_close_frame(world, &slow, 1013, "");
            expect_frame(world, &slow, "end");
        } else {
            WAIT(world, world->net.n_conns == 1); /* reset */
        }
        assert_int_equal(world->counters.sockets_slow, 1);
        client_text(world, &reader, "0");
        assert_string_not_equal(next_frame(world, &reader), "end");
        client_close(&slow);
        client_close(&reader);
        world_close(world);
    }
}

static void its_room_hears_of_1013(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.queue = 100000;
    world->handler = flood;
    world->sndbuf = 8192;
    world_open(world);
    struct client slow = socket_open(world, "slow", true);
    static const char last[] =
        "text slow m\nclose slow 1013 Too much waits to be sent to this connection unclean\n";

    while (world->counters.sockets_slow == 0) {
        size_t len = world->log.len;
        client_text(world, &slow, "m");
        WAIT(world, world->log.len > len);
        loop_step(&world->loop);
    }
    WAIT(world, memmem(world->log.data, world->log.len, last, sizeof last - 1));
    client_close(&slow);
    world_close(world);
}

static enum act flood_newcomer(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    (void)room;
    if (event->kind != EVENT_CONNECT)
        return ACT_DONE;
    struct bytes *data = bytes_new(150000);
    memset(data->data, 'x', data->len);
    assert_int_equal(room_send(event->peer, data, true), 0);
    assert_int_equal(room_send(event->peer, data, true), 0);
    bytes_unref(data);
    return ACT_WAIT;
}

/* What onConnect sends waits with the 101: where that is too much there is nothing that could be kept. */
static void too_much_before_it_is_let_in(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.queue = 200000;
    world->config.limits.close_timeout = 1000000; /* it does not come to that */
    world->handler = flood_newcomer;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, UPGRADE("/party/r?_pk=a", ""));
    WAIT(world, world->counters.sockets_slow == 1);
    WAIT_SAID(world, "connect a /\n");
    wake(world);
    expect_end(world, &client);
    WAIT_SAID(world, "close a 1013 Too much waits to be sent to this connection unclean\n");
    client_close(&client);
    world_close(world);
}

/* ---- before it is let in ---- */

static enum act wait_in_connect(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    (void)room;
    return event->kind == EVENT_CONNECT ? ACT_WAIT : ACT_DONE;
}

static void close_it(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    (void)room;
    assert_int_equal(room_close_peer(event->peer, 4003, "No", 2), 0);
}

static void clients_that_leave_while_on_connect_waits(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = wait_in_connect;
    world_open(world);
    for (int how = 0; how < 4; how++) {
        struct client client = client_open(world, false);
        client_send(world, &client, UPGRADE("/party/r?_pk=a", ""));
        client_text(world, &client, "early");
        WAIT_SAID(world, "connect a /\n");
        if (how == 0)
            client_close(&client);
        else if (how == 1)
            client_reset(&client);
        else if (how == 2) /* the server has given it up already */
            edge_reset_all(&world->edge);
        else
            rooms_drop(&world->rooms); /* its room is gone */
        for (int i = 0; i < 20; i++)
            loop_step(&world->loop);
        if (how != 3)
            wake(world);
        if (how == 2)
            WAIT_SAID(world, "close a 1006 unclean\n");
        else if (how == 3)
            edge_stop_sockets(&world->edge);
        if (how == 3) {
            expect_bytes(world, &client, ACCEPTED);
            expect_frame(world, &client, "close 1001 The server is stopping");
        }
        client_close(&client);
        WAIT(world, world->net.n_conns == 0);
        if (how < 2) { /* what it sent before it left may have come */
            WAIT(world, memmem(world->log.data, world->log.len, "close a 1006 unclean\n", 21));
            world->log.len = 0;
        }
    }
    world_close(world);
}

static void on_connect_closes(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = wait_in_connect;
    world->woken = close_it;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, UPGRADE("/party/r?_pk=a", ""));
    client_text(world, &client, "early");
    WAIT_SAID(world, "connect a /\n");
    wake(world);
    expect_bytes(world, &client, ACCEPTED);
    expect_frame(world, &client, "close 4003 No");
    client_close_frame(world, &client, 4003, "");
    expect_frame(world, &client, "end");
    WAIT_SAID(world, "close a 4003 clean\n");
    client_close(&client);
    world_close(world);
}

/* ---- the server stops ---- */

static void stopping_closes_all_sockets(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.close_timeout = 1000;
    world->handler = wait_in_connect;
    world_open(world);
    struct client waiting = client_open(world, false), polite, mute, gone;

    client_send(world, &waiting, UPGRADE("/party/r?_pk=w", ""));
    WAIT_SAID(world, "connect w /\n");
    world->handler = NULL;
    polite = socket_open(world, "p", false);
    mute = socket_open(world, "m", false);
    gone = socket_open(world, "g", false);
    WAIT_SAID(world, "connect p /\nconnect m /\nconnect g /\n");

    edge_stop_http(&world->edge);
    rooms_stop(&world->rooms, 20, world_on_empty, world);
    client_text(world, &polite, "too late");
    WAIT(world, world->empty);
    assert_true(said(world, ""));
    assert_int_equal(world->net.n_conns, 4); /* closing them is not the rooms' */
    client_close(&gone);
    edge_stop_sockets(&world->edge);
    expect_bytes(world, &waiting, ACCEPTED);
    expect_frame(world, &waiting, "close 1001 The server is stopping");
    expect_frame(world, &polite, "close 1001 The server is stopping");
    client_close_frame(world, &polite, 1001, "");
    expect_frame(world, &polite, "end");
    assert_true(polite.ended); /* in order: its answer was read, though its messages no longer were */
    expect_frame(world, &mute, "close 1001 The server is stopping");
    expect_frame(world, &mute, "end"); /* without having answered */
    WAIT(world, world->net.n_conns == 0);
    client_close(&waiting);
    client_close(&polite);
    client_close(&mute);
    world_close(world);
}

/* A socket without a room lives on, and ends in order. */
static void rooms_that_are_gone(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = obey;
    world_open(world);
    struct client a = socket_open(world, "a", false), b = socket_open(world, "b", false);

    WAIT_SAID(world, "connect a /\nconnect b /\n");
    rooms_drop(&world->rooms);
    client_text(world, &a, "anybody?");
    client_frame(world, &a, 0x89, "", 0);
    expect_frame(world, &a, "pong ");
    client_close_frame(world, &a, 1000, "");
    expect_frame(world, &a, "close 1000");
    expect_frame(world, &a, "end");
    client_reset(&b);
    WAIT(world, world->net.n_conns == 0);
    assert_true(said(world, ""));
    client_close(&a);
    world_close(world);
}

static void everything_is_reset(void **state)
{
    (void)state;
    struct world *world = world_new();
    world_open(world);
    struct client socket = socket_open(world, "a", false), http = client_open(world, false);

    client_send(world, &http, GET("/party/r"));
    expect_answer(world, &http, "200 GET / ");
    edge_reset_all(&world->edge);
    WAIT(world, world->net.n_conns == 0);
    WAIT_SAID(world, "connect a /\nGET /\nclose a 1006 unclean\n");
    WAIT(world, client_read(&socket, SIZE_MAX) && client_read(&http, SIZE_MAX));
    assert_true(socket.reset && http.reset);
    client_close(&socket);
    client_close(&http);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_closes),
        cmocka_unit_test(what_follows_the_clients_close),
        cmocka_unit_test(the_server_closes),
        cmocka_unit_test(a_close_that_is_not_answered),
        cmocka_unit_test(a_close_that_ends_the_connection),
        cmocka_unit_test(clients_that_vanish),
        cmocka_unit_test(protocol_errors),
        cmocka_unit_test(pings),
        cmocka_unit_test(a_socket_that_is_not_read_is_not_dead),
        cmocka_unit_test(one_that_does_not_read_is_closed),
        cmocka_unit_test(its_room_hears_of_1013),
        cmocka_unit_test(too_much_before_it_is_let_in),
        cmocka_unit_test(clients_that_leave_while_on_connect_waits),
        cmocka_unit_test(on_connect_closes),
        cmocka_unit_test(stopping_closes_all_sockets),
        cmocka_unit_test(rooms_that_are_gone),
        cmocka_unit_test(everything_is_reset),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
