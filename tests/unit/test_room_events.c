/* room/events: how messages are written as events, and the life of a peer that hears them. */
#include "fake_room.h"
#include "room/events.h"
#include "room/pipe.h"

#include "stream_reader.h"

/* ---- the format ---- */

static void each_line_is_a_data_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *event;
    } cases[] = {
        {"", "data: \n\n"},
        {"one", "data: one\n\n"},
        {"a\nb", "data: a\ndata: b\n\n"},
        {"a\rb", "data: a\ndata: b\n\n"},
        {"a\r\nb", "data: a\ndata: b\n\n"},
        {"a\n\rb", "data: a\ndata: \ndata: b\n\n"},
        {"\n", "data: \ndata: \n\n"},
        {"\r\n", "data: \ndata: \n\n"},
        {"\r", "data: \ndata: \n\n"},
        {"\n\n", "data: \ndata: \ndata: \n\n"},
        {"\r\n\r\n", "data: \ndata: \ndata: \n\n"},
        {"end\r", "data: end\ndata: \n\n"},
        {" x:y", "data:  x:y\n\n"},
        {"data: x\n\nevent: y", "data: data: x\ndata: \ndata: event: y\n\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes *bytes = events_format((const uint8_t *)cases[i].text, strlen(cases[i].text));
        assert_int_equal(bytes->len, strlen(cases[i].event));
        assert_memory_equal(bytes->data, cases[i].event, bytes->len);
        bytes_unref(bytes);
    }
}

/* ---- peers ---- */

struct client {
    struct exchange exchange;
    struct stream_reader reader;
    int n_answers, status;
};

static void on_respond(struct exchange *exchange, struct http_response *response)
{
    struct client *client = container_of(exchange, struct client, exchange);

    client->n_answers++;
    client->status = response->status;
    if (response->source) {
        reader_begin(&client->reader, response->source);
        response->source = NULL;
        assert_true(response->has_type);
        reader_ask(&client->reader);
    }
    http_response_free(response);
}

static const char *next_id = "a";
static bool stores;

static enum act handler(struct fake *fake, struct room *room, struct event *event)
{
    if (event->kind == EVENT_REQUEST) {
        static const struct span tags[] = {{"red", 3}, {"green", 5}};
        struct events_opening opening = {.id = next_id,
                                         .uri = "http://a/",
                                         .remote = "1.2.3.4",
                                         .tags = tags,
                                         .n_tags = 2,
                                         .retry = 10,
                                         .request = calloc(1, sizeof(struct http_request))};
        if (stores)
            fake_write(room);
        assert_int_equal(room_events(room, event, &opening), 0);
        assert_null(event->exchange);
        room_event_done(room, event, OUTCOME_DONE);
        return ACT_WAIT;
    }
    (void)fake;
    return ACT_DONE;
}

/* The script's side, by hand: the fakes of fake_room.h know of their own peers alone. */
static struct buf told;
static struct room *the_room;
static enum outcome connect_outcome;

static void *vm_open(void *user, struct room *room)
{
    the_room = room;
    return user;
}

static void vm_run(void *instance, struct event *event)
{
    struct fake *fake = instance;
    const char *id = event->peer ? event->peer->id : "";

    if (event->kind == EVENT_REQUEST) {
        handler(fake, the_room, event);
        return;
    }
    if (event->kind == EVENT_CONNECT) {
        assert_int_equal(buf_printf(&told, "connect %s;", id), 0);
        assert_int_equal(fake_send(event->peer, "hello"), 0);
        room_event_done(the_room, event, connect_outcome);
        return;
    }
    if (event->kind == EVENT_CLOSE)
        assert_int_equal(buf_printf(&told, "close %s %u %.*s%s;", id, event->code, (int)event->len,
                                    (const char *)event->data, event->clean ? " clean" : ""),
                         0);
    room_event_done(the_room, event, OUTCOME_DONE);
}

static void vm_forget(void *instance, struct peer *peer)
{
    (void)instance;
    (void)peer;
}

static void vm_close(void *instance)
{
    (void)instance;
}

static struct script_ops script;

static struct fake *begin(const struct room_limits *limits)
{
    struct fake *fake = fake_begin(limits);

    script = *fake->rooms.script;
    script.open = vm_open;
    script.run = vm_run;
    script.forget = vm_forget;
    script.close = vm_close;
    fake->rooms.script = &script;
    next_id = "a";
    stores = false;
    connect_outcome = OUTCOME_DONE;
    told.len = 0;
    return fake;
}

static void turn(struct fake *fake)
{
    fake_run(fake);
    loop_step(&fake->loop);
    fake_run(fake);
}

static void connect_as(struct fake *fake, struct client *client, const char *id)
{
    *client = (struct client){.exchange.respond = on_respond};
    next_id = id;
    room_request(fake_room(fake, "r"), calloc(1, sizeof(struct http_request)), &client->exchange);
    turn(fake);
}

static void expect_told(const char *want)
{
    assert_int_equal(buf_append(&told, "", 1), 0);
    assert_string_equal((const char *)told.data, want);
    told.len = 0;
}

static void broadcast(struct fake *fake, const char *text, bool binary, struct peer *without)
{
    struct bytes *bytes = bytes_copy(text, strlen(text));
    room_turn_begin(the_room);
    assert_int_equal(room_broadcast(the_room, bytes, binary, &without, without ? 1 : 0), 0);
    room_turn_end(the_room);
    bytes_unref(bytes);
    turn(fake);
}

static void end(struct fake *fake)
{
    buf_fini(&told);
    fake_end(fake);
}

static void they_hear_what_is_sent(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    struct client a, b;

    connect_as(fake, &a, "a");
    expect_told("connect a;");
    assert_int_equal(a.status, 200);
    reader_expect(&a.reader, "retry: 10\n\ndata: hello\n\n");
    connect_as(fake, &b, "b");
    expect_told("connect b;");
    assert_int_equal(the_room->n_listed, 2);
    struct peer *peer = room_find_peer(the_room, span_of("a"));
    assert_string_equal(peer->kind->name, "events");
    assert_true(peer_has_tag(peer, SPAN("red")) && peer_has_tag(peer, SPAN("green")));
    assert_int_equal(the_room->held, 2 * peer_held(peer));

    reader_ask(&a.reader);
    broadcast(fake, "to all", false, NULL);
    reader_expect(&a.reader, "data: to all\n\n");
    reader_ask(&a.reader);
    broadcast(fake, "to b", false, peer);
    broadcast(fake, "\1\2", true, NULL); /* is left out */
    assert_true(a.reader.asked);
    assert_int_equal(room_peer_pending(peer), 0);
    reader_ask(&b.reader);
    turn(fake);
    reader_expect(&b.reader, "retry: 10\n\ndata: hello\n\ndata: to all\n\ndata: to b\n\n");

    reader_close(&a.reader); /* the client goes */
    turn(fake);
    expect_told("close a 1006 ;");
    assert_int_equal(the_room->n_listed, 1);
    assert_int_equal(room_close_peer(room_find_peer(the_room, span_of("b")), 4000, "enough", 6), 0);
    turn(fake);
    expect_told("close b 4000 enough clean;");
    assert_int_equal(the_room->n_peers, 0);
    assert_int_equal(the_room->held, 0);
    reader_ask(&b.reader);
    turn(fake);
    assert_true(b.reader.whole);
    reader_close(&b.reader);
    end(fake);
}

static void they_wait_for_the_gate(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    struct client a;

    stores = true;
    connect_as(fake, &a, "a");
    expect_told("");
    assert_int_equal(a.n_answers, 0);
    assert_int_equal(the_room->n_open, 0);
    fake_durable(the_room, the_room->written);
    turn(fake);
    expect_told("connect a;");
    assert_int_equal(a.status, 200);
    reader_close(&a.reader);
    turn(fake);
    told.len = 0;

    connect_as(fake, &a, "b"); /* what was written is not kept */
    fake_store_end(&fake->store, fake_store_next(&fake->store, the_room->data->store), STORE_FAILED);
    turn(fake);
    assert_int_equal(a.n_answers, 1);
    assert_int_equal(a.status, 503);
    expect_told("");
    end(fake);
}

static void one_that_is_not_welcome_ends(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    struct client a;

    connect_outcome = OUTCOME_FAILED;
    connect_as(fake, &a, "a");
    expect_told("connect a;");
    assert_int_equal(a.status, 200);
    reader_expect(&a.reader, "retry: 10\n\ndata: hello\n\n");
    reader_ask(&a.reader);
    turn(fake);
    assert_true(a.reader.whole);
    reader_close(&a.reader);
    assert_int_equal(the_room->held, 0);

    fake->rooms.limits.connections = 1;
    connect_outcome = OUTCOME_DONE;
    connect_as(fake, &a, "a");
    struct client b;
    connect_as(fake, &b, "b");
    assert_int_equal(b.n_answers, 1);
    assert_int_equal(b.status, 503);
    expect_told("connect a;");
    assert_int_equal(the_room->held, peer_held(room_find_peer(the_room, span_of("a"))));
    reader_close(&a.reader);
    end(fake);
}

/* The event, which is longer than the message, and a place for each: while it waits at the gate, within the handler. */
static void what_it_becomes_counts(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    struct client a, b;
    const struct outq *staged = &fake->rooms.staged;
    const char lines[] = "\n\r\n\r";
    struct bytes *bytes = bytes_copy(lines, 4);
    size_t alone = sizeof(struct effect) + bytes_cost(bytes), event = 4 * strlen("data: \n") + 1;

    connect_as(fake, &a, "a");
    connect_as(fake, &b, "b");
    room_turn_begin(the_room);
    assert_int_equal(room_broadcast(the_room, bytes, false, NULL, 0), 0);
    assert_int_equal(staged->bytes, alone + event + 2 * PIPE_ITEM_COST);
    room_turn_end(the_room);
    reader_close(&a.reader);
    turn(fake);
    room_turn_begin(the_room);
    assert_int_equal(room_send(room_find_peer(the_room, span_of("b")), bytes, false), 0);
    assert_int_equal(staged->bytes, alone + event + PIPE_ITEM_COST);
    assert_int_equal(room_broadcast(the_room, bytes, true, NULL, 0), 0); /* they are left out */
    assert_int_equal(staged->bytes, alone + event + PIPE_ITEM_COST + sizeof(struct effect) + 4);
    room_turn_end(the_room);
    turn(fake);
    bytes_unref(bytes);
    reader_close(&b.reader);
    end(fake);
}

static void a_slow_one_is_given_up(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    struct client a, b;

    fake->rooms.limits.queue = 1000 + 71 * PIPE_ITEM_COST;
    connect_as(fake, &a, "a");
    connect_as(fake, &b, "b");
    told.len = 0;
    for (int i = 0; i < 70; i++) { /* each event has 14 bytes */
        broadcast(fake, "xxxxxx", false, NULL);
        reader_ask(&b.reader);
        turn(fake);
    }
    expect_told("");
    broadcast(fake, "xxxxxx", false, NULL);
    broadcast(fake, "xxxxxx", false, NULL);
    expect_told("close a 1013 Too much waits to be sent to this connection;");
    assert_int_equal(fake->counters.sockets_slow, 1);
    reader_ask(&a.reader);
    turn(fake);
    assert_true(a.reader.failed);
    reader_close(&a.reader);

    reader_ask(
        &b.reader); /* however fast it is: what is sent at once waits together; but one event may be long */
    turn(fake);
    fake->rooms.limits.queue = 1;
    broadcast(fake, "xxxxxx", false, NULL);
    reader_ask(&b.reader);
    turn(fake);
    expect_told("");
    room_turn_begin(the_room);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fake_broadcast(the_room, "xxxxxx", NULL, 0), 0);
    room_turn_end(the_room);
    turn(fake);
    expect_told("close b 1013 Too much waits to be sent to this connection;");
    reader_close(&b.reader);
    end(fake);
}

static bool pinged(struct fake *fake)
{
    struct client *client = fake->user;
    return client->reader.pieces >= 2;
}

static void they_get_signs_of_life_and_end_with_their_room(void **state)
{
    (void)state;
    struct fake *fake = begin(NULL);
    struct client a;

    fake->rooms.limits.ping_ms = 1;
    connect_as(fake, &a, "a");
    reader_expect(&a.reader, "retry: 10\n\ndata: hello\n\n");
    reader_ask(&a.reader);
    fake->user = &a;
    fake_wait(fake, pinged);
    assert_true(a.reader.got.len >= 14);
    assert_memory_equal(a.reader.got.data, ": keep-alive\n\n", 14);

    rooms_drop(&fake->rooms);
    turn(fake);
    for (int i = 0; i < 2 && !a.reader.whole; i++) {
        if (!a.reader.asked)
            reader_ask(&a.reader);
        turn(fake);
    }
    assert_true(a.reader.whole);
    reader_close(&a.reader);
    end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_a_data_line),
        cmocka_unit_test(they_hear_what_is_sent),
        cmocka_unit_test(they_wait_for_the_gate),
        cmocka_unit_test(one_that_is_not_welcome_ends),
        cmocka_unit_test(what_it_becomes_counts),
        cmocka_unit_test(a_slow_one_is_given_up),
        cmocka_unit_test(they_get_signs_of_life_and_end_with_their_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
