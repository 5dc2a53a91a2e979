/* edge: the opening handshake over real connections, and messages, there and back. */
#include "edge_ws_driver.h"
#include "hollow_deflate.h"

/* ---- the handshake ---- */

static void the_answer_is_that_of_the_rfc(void **state)
{
    (void)state;
    struct world *world = world_new();
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, UPGRADE("/party/r/sub?_pk=me&x=y", ""));
    expect_bytes(world, &client, ACCEPTED);
    WAIT_SAID(world, "connect me /sub\n");
    assert_int_equal(client.in.len, 0);
    const struct peer *peer = &newest_socket(world)->peer;
    assert_string_equal(peer->id, "me");
    assert_string_equal(peer->uri, "http://a/party/r/sub?_pk=me&x=y");
    assert_string_equal(peer->remote, "127.0.0.1");
    assert_string_equal(peer->kind->name, "websocket");
    assert_int_equal(world->counters.sockets_opened, 1);
    assert_true(list_empty(&world->edge.http_conns));
    client_close(&client);
    WAIT_SAID(world, "close me 1006 unclean\n");
    world_close(world);
}

static enum act greet(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind == EVENT_CONNECT) {
        assert_int_equal(send_text(event->peer, "first"), 0);
        assert_int_equal(broadcast_text(room, "second"), 0);
    }
    if (event->kind == EVENT_MESSAGE &&
        span_equal((struct span){(const char *)event->data, event->len}, SPAN("all")))
        assert_int_equal(broadcast_text(room, "to all"), 0);
    else if (event->kind == EVENT_MESSAGE)
        assert_int_equal(send_text(event->peer, "echo"), 0);
    return ACT_DONE;
}

/* The 101 comes first, then what onConnect sent, then the answers to what came in its packet. */
static void everything_in_its_order(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = greet;
    world_open(world);
    struct client client = client_open(world, false);
    struct buf packet = {0};

    assert_int_equal(buf_printf(&packet, "%s%s", GET("/party/r/before"), UPGRADE("/party/r?_pk=a", "")), 0);
    put_text(&packet, "early");
    put_text(&packet, "all");
    client_send_bytes(world, &client, packet.data, packet.len);
    buf_fini(&packet);
    expect_answer(world, &client, "200 GET /before ");
    expect_bytes(world, &client, ACCEPTED);
    expect_frame(world, &client, "text first");
    expect_frame(world, &client, "text second");
    expect_frame(world, &client, "text echo");
    expect_frame(world, &client, "text to all");
    WAIT_SAID(world, "GET /before\nconnect a /\ntext a early\ntext a all\n");
    client_close(&client);
    world_close(world);
}

static enum act greet_and_wait(struct world *world, struct room *room, struct event *event)
{
    greet(world, room, event);
    return event->kind == EVENT_CONNECT ? ACT_WAIT : ACT_DONE;
}

static void greet_again(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    (void)room;
    assert_int_equal(send_text(event->peer, "third"), 0);
}

static void the_answer_waits_for_on_connect(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = greet_and_wait;
    world->woken = greet_again;
    world_open(world);
    struct client client = client_open(world, false), other;

    client_send(world, &client, UPGRADE("/party/r?_pk=a", ""));
    client_text(world, &client, "early");
    WAIT_SAID(world, "connect a /\n");
    other = client_open(world, false); /* and what the room broadcasts meanwhile is for it, too */
    client_send(world, &other, UPGRADE("/party/r?_pk=b", ""));
    WAIT_SAID(world, "connect b /\n");
    for (int i = 0; i < 50; i++)
        loop_step(&world->loop);
    client_read(&client, SIZE_MAX);
    assert_int_equal(client.in.len, 0);
    assert_true(said(world, ""));
    wake(world);
    expect_bytes(world, &client, ACCEPTED);
    expect_frame(world, &client, "text first");
    expect_frame(world, &client, "text second"); /* at its own arrival */
    expect_frame(world, &client, "text second"); /* and at the other's */
    expect_frame(world, &client, "text third");
    expect_frame(world, &client, "text echo");
    WAIT_SAID(world, "text a early\n");
    client_read(&other, SIZE_MAX);
    assert_int_equal(other.in.len, 0);
    wake(world);
    expect_bytes(world, &other, ACCEPTED);
    client_close(&client);
    client_close(&other);
    world_close(world);
}

static void handshakes_that_are_refused(void **state)
{
    (void)state;
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define ASK "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define NO_KEY "400 close An upgrade to WebSocket needs one Sec-WebSocket-Key of 16 bytes in base64"
#define NO_PK "400 close _pk is an id of up to 256 bytes of UTF-8"
#define NO_ORIGIN "403 close Pages of this origin may not connect (see allowedOrigins)"
#define LETTERS_64 "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"
#define LETTERS_256 LETTERS_64 LETTERS_64 LETTERS_64 LETTERS_64
    static const struct {
        const char *request, *answer;
    } rows[] = {
        {"GET /party/r HTTP/1.0\r\n" ASK KEY VERSION "\r\n",
         "400 close An upgrade to WebSocket needs HTTP/1.1"},
        {"POST /party/r HTTP/1.1\r\n" ASK KEY VERSION "\r\n",
         "400 close An upgrade to WebSocket needs the method GET"},
        {"GET /party/r HTTP/1.1\r\n" ASK KEY VERSION "Content-Length: 5\r\n\r\nhello",
         "400 close An upgrade to WebSocket can't have a body"},
        {"GET /party/r HTTP/1.1\r\n" ASK KEY VERSION "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "400 close An upgrade to WebSocket can't have a body"},
        {"GET /party/r HTTP/1.1\r\n" ASK VERSION "\r\n", NO_KEY},
        {"GET /party/r HTTP/1.1\r\n" ASK KEY KEY VERSION "\r\n", NO_KEY},
        {"GET /party/r HTTP/1.1\r\n" ASK "Sec-WebSocket-Key: AAAA\r\n" VERSION "\r\n", NO_KEY},
        {"GET /party/r HTTP/1.1\r\n" ASK "Sec-WebSocket-Key:\r\n" VERSION "\r\n", NO_KEY},
        {"GET /party/r HTTP/1.1\r\n" ASK KEY "\r\n",
         "426 close Only version 13 of the WebSocket protocol is supported"},
        {"GET /party/r HTTP/1.1\r\n" ASK KEY "Sec-WebSocket-Version: 8\r\n\r\n",
         "426 close Only version 13 of the WebSocket protocol is supported"},
        {"GET /party/r HTTP/1.1\r\n" ASK KEY "Sec-WebSocket-Version: 13, 8\r\n\r\n",
         "426 close Only version 13 of the WebSocket protocol is supported"},
        {UPGRADE("/party/r", "Origin: http://evil.example\r\n"), NO_ORIGIN},
        {UPGRADE("/party/r", "Origin: http://a\r\nOrigin: http://a\r\n"), NO_ORIGIN},
        {UPGRADE("/", ""), "404 close Not found"},
        {UPGRADE("/parties/nope/r", ""), "404 close Party nope not found"},
        {UPGRADE("/party/%2f", ""), "400 close The room id has a slash"},
        {UPGRADE("/party/r?_pk=%ff", ""), NO_PK},
        {UPGRADE("/party/r?_pk=a%00b", ""), NO_PK},
        {UPGRADE("/party/r?x=y&_pk=" LETTERS_256 "e", ""), NO_PK},
    };
    struct world *world = world_new();
    world_open(world);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client client = client_open(world, false);
        const char *head;
        client_send(world, &client, rows[i].request);
        expect_head_of(world, &client, rows[i].answer, &head);
        bool version = strncmp(rows[i].answer, "426", 3) == 0;
        assert_true(head_says(head, "Sec-WebSocket-Version", version ? "13" : NULL));
        expect_end(world, &client);
        assert_true(client.ended);
        client_close(&client);
        assert_int_equal(world->counters.sockets_refused, i + 1);
    }
    struct client client = client_open(world, false);
    client_send(world, &client, "HEAD /party/r HTTP/1.1\r\n" ASK KEY VERSION "\r\n");
    assert_memory_equal(next_head(world, &client), "HTTP/1.1 400 ", 13);
    expect_end(world, &client); /* no body */
    client_close(&client);
    assert_int_equal(world->rooms.n_rooms, 0); /* none was made */
    assert_true(said(world, ""));

    client = client_open(world, false); /* the longest one that may be */
    client_send(world, &client, UPGRADE("/party/r?_pk=" LETTERS_256, ""));
    expect_bytes(world, &client, ACCEPTED);
    client_close(&client);
    world_close(world);
}

/* An Upgrade that is not ours is no matter. */
static void other_upgrades_are_plain_requests(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "GET /party/r HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "GET /party/r HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n" KEY VERSION "\r\n",
        "GET /party/r HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n" KEY VERSION "\r\n",
    };
    struct world *world = world_new();
    world_open(world);
    struct client client = client_open(world, false);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        client_send(world, &client, requests[i]);
        expect_answer(world, &client, "200 GET / ");
    }
    client_close(&client);
    world_close(world);
}

static void ids(void **state)
{
    (void)state;
    static const struct {
        const char *request, *id; /* NULL: a random one */
    } rows[] = {
        {UPGRADE("/party/r?_pk=a%20b%C3%BC", ""), "a b\xc3\xbc"},
        {UPGRADE("/party/r?_pk=a+b", ""), "a b"},
        {UPGRADE("/party/r?x=1&_pk=first&_pk=second", ""), "first"},
        {UPGRADE("/party/r?_%70k=x", ""), "x"},
        {UPGRADE("/party/r", ""), NULL},
        {UPGRADE("/party/r?", ""), NULL},
        {UPGRADE("/party/r?_pk", ""), NULL},
        {UPGRADE("/party/r?_pk=", ""), NULL},
        {UPGRADE("/party/r?_PK=x", ""), NULL},
    };
    struct world *world = world_new();
    world->quiet = true;
    world_open(world);
    char before[64] = "";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client client = client_open(world, false);
        client_send(world, &client, rows[i].request);
        expect_bytes(world, &client, ACCEPTED);
        const char *id = newest_socket(world)->peer.id;
        if (rows[i].id) {
            assert_string_equal(id, rows[i].id);
        } else {
            assert_int_equal(strlen(id), 36);
            assert_string_not_equal(id, before);
            snprintf(before, sizeof before, "%s", id);
        }
        client_close(&client);
    }
    world_close(world);
}

static void sub_protocols(void **state)
{
    (void)state;
    static const struct {
        const char *request, *chosen;
    } rows[] = {
        {UPGRADE("/party/r", "Sec-WebSocket-Protocol: chat.v1\r\n"), "chat.v1"},
        {UPGRADE("/party/r", "Sec-WebSocket-Protocol: foo,chat.v1 , bar\r\n"), "chat.v1"},
        {UPGRADE("/party/r", "Sec-WebSocket-Protocol: foo\r\nSec-WebSocket-Protocol: chat.v1\r\n"),
         "chat.v1"},
        {UPGRADE("/party/r", "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n"), "chat.v2"}, /* our preference */
        {UPGRADE("/party/r", "Sec-WebSocket-Protocol: CHAT.V1\r\n"), NULL},
        {UPGRADE("/party/r", "Sec-WebSocket-Protocol: chat, chat.v11\r\n"), NULL},
        {UPGRADE("/party/r", ""), NULL},
    };
    struct world *world = world_new();
    string_list_add(&world->config.subprotocols, "chat.v2");
    string_list_add(&world->config.subprotocols, "chat.v1");
    world_open(world);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client client = client_open(world, false);
        client_send(world, &client, rows[i].request);
        const char *head = next_head(world, &client);
        assert_memory_equal(head, "HTTP/1.1 101 ", 13);
        assert_true(head_says(head, "Sec-WebSocket-Protocol", rows[i].chosen));
        client_close(&client);
    }
    world_close(world);
}

/* ---- the room decides ---- */

static void rooms_refuse(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.handlers = 1;
    world->config.cors = true;
    world->handler = wait_for_requests;
    world->no_vm = true;
    world_open(world);
    struct client client = client_open(world, false), busy = client_open(world, false);
    const char *head;

    client_send(world, &client, UPGRADE("/party/r?_pk=a", ""));
    expect_head_of(world, &client, "500 close Internal error", &head);
    assert_true(head_says(head, "Access-Control-Allow-Origin", "*"));
    expect_end(world, &client);
    client_close(&client);
    world->no_vm = false;

    client_send(world, &busy, GET("/party/r/wait"));
    WAIT_SAID(world, "GET /wait\n");
    client = client_open(world, false);
    client_send(world, &client, UPGRADE("/party/r?_pk=a", ""));
    expect_head_of(world, &client, "503 close The room has too much to do", &head);
    assert_true(head_says(head, "Retry-After", "1"));
    expect_end(world, &client);
    client_close(&client);
    wake(world);
    expect_answer(world, &busy, "200 GET /wait ");
    client_close(&busy);
    assert_int_equal(world->counters.sockets_refused, 2);
    assert_int_equal(world->counters.sockets_opened, 0);
    world_close(world);
}

static enum act fail_connect(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    (void)room;
    if (event->kind != EVENT_CONNECT)
        return ACT_DONE;
    assert_int_equal(send_text(event->peer, "sorry"), 0);
    return ACT_FAIL;
}

/* It is let in, hears what was sent to it, and is closed; the script hears nothing more of it. */
static void on_connect_fails(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = fail_connect;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, UPGRADE("/party/r?_pk=a", ""));
    client_text(world, &client, "early");
    expect_bytes(world, &client, ACCEPTED);
    expect_frame(world, &client, "text sorry");
    expect_frame(world, &client, "close 1011 Internal error");
    client_close_frame(world, &client, 1011, "");
    expect_end(world, &client);
    client_close(&client);
    WAIT(world, world->net.n_conns == 0);
    assert_true(said(world, "connect a /\n"));
    world_close(world);
}

static void duplicate_ids(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->party.duplicate = DUPLICATE_REPLACE;
    world_open(world);
    struct client older = socket_open(world, "a", false), newer = socket_open(world, "a", false);

    WAIT_SAID(world, "connect a /\nclose a 4409 Replaced by a newer connection unclean\nconnect a /\n");
    expect_frame(world, &older, "close 4409 Replaced by a newer connection");
    client_close_frame(world, &older, 4409, "");
    expect_end(world, &older);
    world->party.duplicate = DUPLICATE_REJECT;
    struct client third = socket_open(world, "a", false);
    expect_frame(world, &third, "close 4409 This id is connected");
    client_close(&third);
    client_text(world, &newer, "here");
    WAIT_SAID(world, "text a here\n");
    client_close(&older);
    client_close(&newer);
    world_close(world);
}

/* ---- messages ---- */

static enum act relay(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind != EVENT_MESSAGE)
        return ACT_DONE;
    struct bytes *data = bytes_copy(event->data, event->len);
    struct peer *sender = event->peer;
    if (event->len > 0 && event->data[0] == '!') /* to the others */
        assert_int_equal(room_broadcast(room, data, event->binary, &sender, 1), 0);
    else if (event->len > 0 && event->data[0] == '*') /* to all */
        assert_int_equal(room_broadcast(room, data, event->binary, NULL, 0), 0);
    else
        assert_int_equal(room_send(sender, data, event->binary), 0);
    bytes_unref(data);
    return ACT_DONE;
}

static void messages_there_and_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 1023, 1024, 65535, 65536, 300000};
    struct world *world = world_new();
    world->handler = relay;
    world_open(world);
    struct client a = socket_open(world, "a", false), b = socket_open(world, "b", false),
                  c = socket_open(world, "c", false);

    client_text(world, &a, "to me");
    expect_frame(world, &a, "text to me");
    client_text(world, &a, "!to the others");
    expect_frame(world, &b, "text !to the others");
    expect_frame(world, &c, "text !to the others");
    client_frame(world, &b, 0x82, "*bytes", 6);
    expect_frame(world, &a, "binary *bytes");
    expect_frame(world, &b, "binary *bytes");
    expect_frame(world, &c, "binary *bytes");
    client_frame(world, &c, 0x89, "ping", 4);
    expect_frame(world, &c, "pong ping");
    WAIT_SAID(
        world,
        "connect a /\nconnect b /\nconnect c /\ntext a to me\ntext a !to the others\nbinary b *bytes\n");
    world->quiet = true;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int kind = 0; kind < 2; kind++) { /* an echo, and a broadcast */
            size_t size = sizes[i], head = size < 126 ? 2 : size < 65536 ? 4 : 10;
            char *data = malloc(size + 1);
            memset(data, kind ? '*' : 'x', size + 1);
            client_frame(world, &a, 0x82, data, size);
            client_await(world, &a, head + size);
            assert_int_equal(a.in.len, head + size);
            assert_int_equal(a.in.data[0], 0x82);
            assert_memory_equal(a.in.data + head, data, size);
            buf_consume(&a.in, head + size);
            free(data);
        }
    }
    client_close(&a);
    client_close(&b);
    client_close(&c);
    world_close(world);
}

/* ---- compression ---- */

static struct client compressing_open(struct world *world)
{
    struct client client = client_open(world, false);

    client_send(world, &client, UPGRADE("/party/r", "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    assert_false(head_says(next_head(world, &client), "Sec-WebSocket-Extensions", NULL));
    return client;
}

#define N_HOLLOW 30

/* So many clients who have sent two messages each that take long to inflate and become nothing; and one more, who has
 * sent nothing. */
static struct client open_beside_hollow(struct world *world, struct client others[N_HOLLOW])
{
    struct buf hollow = {0}, two = {0};

    put_hollow_blocks(&hollow, 30000);
    assert_int_equal(buf_append(&hollow, "", 1), 0);
    put_frame(&two, 0xc1, hollow.data, hollow.len);
    put_frame(&two, 0xc1, hollow.data, hollow.len);
    for (int i = 0; i < N_HOLLOW; i++)
        others[i] = compressing_open(world);
    struct client client = compressing_open(world);
    for (int i = 0; i < N_HOLLOW; i++)
        client_send_bytes(world, &others[i], two.data, two.len);
    buf_fini(&hollow);
    buf_fini(&two);
    return client;
}

/* Each in its turn: who comes last with little to inflate waits for one message of each, not for all that they have. */
static void inflating_takes_turns(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client others[N_HOLLOW];
    size_t answers = 0;

    world->config.deflate = true;
    world->handler = relay;
    world->quiet = true;
    world_open(world);
    struct client client = open_beside_hollow(world, others);
    client_frame(world, &client, 0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    expect_frame(world, &client, "text Hello");
    for (int i = 0; i < N_HOLLOW; i++) {
        client_read(&others[i], SIZE_MAX);
        answers += others[i].in.len / 2; /* empty messages */
    }
    assert_in_range(answers, 1, 2 * N_HOLLOW - N_HOLLOW / 3);
    for (int i = 0; i < N_HOLLOW; i++) {
        client_await(world, &others[i], 4);
        client_close(&others[i]);
    }
    client_close(&client);
    world_close(world);
}

static enum act close_all(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind != EVENT_MESSAGE || event->len == 0)
        return ACT_DONE;
    list_each(link, &room->peers)
        assert_int_equal(room_close_peer(container_of(link, struct peer, link), 4000, NULL, 0), 0);
    return ACT_DONE;
}

/* A socket that is closed while its message waits to be inflated waits for nothing but the client's answer. */
static void closing_waits_for_no_turn(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct client others[N_HOLLOW];

    world->config.deflate = true;
    world->config.limits.close_timeout = (uint64_t)24 * 3600 * 1000;
    world->handler = close_all;
    world->quiet = true;
    world_open(world);
    struct client client = open_beside_hollow(world, others);
    WAIT(world, !list_empty(&world->edge.inflating));
    client_text(world, &client, "close");
    expect_frame(world, &client, "close 4000");
    WAIT(world, list_empty(&world->edge.inflating));
    for (int i = 0; i < N_HOLLOW; i++)
        client_close(&others[i]);
    client_close(&client);
    world_close(world);
}

/* What there is no time for goes out as it is, and the next turn has time again. */
static void compressing_has_a_bound(void **state)
{
    (void)state;
    enum { LARGE = 3000000, SMALL = 1000 };
    struct world *world = world_new();
    char *data = malloc(LARGE);

    assert_non_null(data);
    memset(data, 'x', LARGE);
    world->config.deflate = true;
    world->config.limits.message = LARGE;
    world->handler = relay;
    world->quiet = true;
    world_open(world);
    struct client client = compressing_open(world);
    client_frame(world, &client, 0x81, data, LARGE);
    client_await(world, &client, 10 + LARGE);
    assert_int_equal(client.in.len, 10 + LARGE);
    assert_int_equal(client.in.data[0], 0x81);
    buf_consume(&client.in, client.in.len);
    for (int i = 0; i < 3000; i++) { /* more than one turn compresses */
        client_frame(world, &client, 0x81, data, SMALL);
        client_await(world, &client, 2);
        assert_int_equal(client.in.data[0], 0xc1);
        client_await(world, &client, 2 + (size_t)client.in.data[1]);
        buf_consume(&client.in, 2 + (size_t)client.in.data[1]);
    }
    client_close(&client);
    free(data);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_is_that_of_the_rfc),
        cmocka_unit_test(everything_in_its_order),
        cmocka_unit_test(the_answer_waits_for_on_connect),
        cmocka_unit_test(handshakes_that_are_refused),
        cmocka_unit_test(other_upgrades_are_plain_requests),
        cmocka_unit_test(ids),
        cmocka_unit_test(sub_protocols),
        cmocka_unit_test(rooms_refuse),
        cmocka_unit_test(on_connect_fails),
        cmocka_unit_test(duplicate_ids),
        cmocka_unit_test(messages_there_and_back),
        cmocka_unit_test(inflating_takes_turns),
        cmocka_unit_test(closing_waits_for_no_turn),
        cmocka_unit_test(compressing_has_a_bound),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
