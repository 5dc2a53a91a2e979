/* Links: connections from room to room. The room a opens them; what it is told is compared by expect_near, beside what the
 * rooms say: a busy machine may change the order between the two. */
#include "call_driver.h"
#include "room/link.h"

static struct link *near;
static struct buf near_log;

static void near_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void near_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (near_log.len > 0)
        assert_int_equal(buf_append(&near_log, "; ", 2), 0);
    assert_int_equal(buf_vprintf(&near_log, format, args), 0);
    va_end(args);
}

static void expect_near_at(const char *want, const char *file, int line)
{
    assert_int_equal(buf_append(&near_log, "", 1), 0);
    _assert_string_equal((const char *)near_log.data, want, file, line);
    near_log.len = 0;
}
#define expect_near(want) expect_near_at(want, __FILE__, __LINE__)

static void near_changed(struct link *link)
{
    switch (link->state) {
    case LINK_CONNECTING:
    case LINK_CLOSING: break;
    case LINK_OPEN:
        if (!link_next(link))
            near_say("open");
        break;
    case LINK_CLOSED:
        near_say("%s %d%s%.*s%s", link->refused ? "refused" : "closed", link->code, link->reason ? " " : "",
                 link->reason ? (int)link->reason->len : 0,
                 link->reason ? (const char *)link->reason->data : "", link->clean ? " clean" : "");
        break;
    }
}

/* All that has come. */
static void read_all(void)
{
    const struct link_mail *mail;
    while ((mail = link_next(near)) != NULL) {
        near_say("got %.*s%s", (int)mail->len, (const char *)mail->data->data, mail->binary ? " binary" : "");
        link_take(near);
    }
}

static int rc;

/* o opens, s sends, c closes, w writes; in b: e echoes, x closes, f fails (onConnect), b broadcasts. */
static enum act handle(struct fake *fake, struct room *room, struct event *event)
{
    if (event->kind == EVENT_CONNECT && strcmp(room->id, "b") == 0) {
        fake_send(event->peer, "hello");
        return fake->no_vm ? ACT_FAIL : ACT_DONE;
    }
    if (event->kind != EVENT_MESSAGE)
        return ACT_DONE;
    for (size_t i = 0; i < event->len; i++) {
        switch (event->data[i]) {
        case 'w': fake_write(room); break;
        case 'o':
            near = link_new(SPAN("main"), SPAN("b"), "me", "http://localhost/parties/main/b",
                            fake_http_request());
            assert_non_null(near);
            near->changed = near_changed;
            near->user = fake;
            assert_int_equal(link_open(near, room, event), 0);
            break;
        case 's': rc = link_send(near, "eb", 2, i % 2 == 1); break;
        case 'x': rc = link_send(near, "x", 1, false); break;
        case 'L': rc = link_send(near, "........................................", 40, false); break;
        case 'c': assert_int_equal(link_close(near, 4000, "enough", 6), 0); break;
        default: break;
        }
    }
    if (strcmp(room->id, "b") == 0) {
        if (event->data[0] == 'e')
            fake_send(event->peer, "echo");
        if (event->len == 2 && event->data[1] == 'b')
            fake_broadcast(room, "all", NULL, 0);
        if (event->len == 1)
            room_close_peer(event->peer, 4001, "bye", 3);
    }
    return ACT_DONE;
}

static struct fake *begin(const struct room_limits *limits, struct fake_peer **p)
{
    struct fake *fake = fake_begin(limits);
    fake->handler = handle;
    *p = fake_connect(fake, fake_room(fake, "a"), "p");
    fake_run(fake);
    fake_forget(fake);
    near_log.len = 0;
    return fake;
}

static void tell(struct fake_peer *peer, const char *text)
{
    fake_message(peer, text);
    for (int i = 0; i < 4; i++)
        fake_run(peer->fake);
}

static void end(struct fake *fake)
{
    link_free(near);
    near = NULL;
    buf_fini(&near_log);
    rooms_drop(&fake->rooms);
    fake_store_settle(&fake->store);
    for (int i = 0; i < 4; i++)
        loop_step(&fake->loop);
    fake_end(fake);
}

static void both_ways_in_order(void **state)
{
    (void)state;
    struct fake_peer *p;
    struct fake *fake = begin(NULL, &p);

    tell(p, "o");
    fake_expect(fake, "a:message p o; b:start; b:connect me");
    assert_int_equal(near->state, LINK_OPEN);
    read_all();
    fake_expect(fake, "");
    expect_near("got hello");
    tell(p, "ss");
    read_all();
    fake_expect(fake, "a:message p ss; b:message me eb; b:message me eb");
    expect_near("got echo; got all; got echo; got all");
    assert_int_equal(near->pending, 0);
    assert_int_equal(near->charged, 0);
    assert_int_equal(fake_room(fake, "a")->held, 0);
    tell(p, "x"); /* that closes it */
    fake_expect(fake, "a:message p x; b:message me x; b:close me 4001 bye clean");
    expect_near("closed 4001 bye clean");
    assert_int_equal(link_send(near, "x", 1, false), -EPIPE);
    assert_int_equal(link_close(near, 1000, NULL, 0), 0);
    end(fake);
}

static void closed_by_the_one_that_has_opened_it(void **state)
{
    (void)state;
    struct fake_peer *p;
    struct fake *fake = begin(NULL, &p);

    tell(p, "o");
    read_all();
    fake_forget(fake);
    near_log.len = 0;
    tell(p, "s");
    read_all();
    tell(p, "c");
    fake_expect(fake, "a:message p s; b:message me eb; a:message p c; b:close me 4000 enough clean");
    expect_near("got echo; got all; closed 4000 clean");
    end(fake);
}

static void each_direction_has_its_gate(void **state)
{
    (void)state;
    struct fake_peer *p;
    struct fake *fake = begin(NULL, &p);
    struct room *a = fake_room(fake, "a");

    tell(p, "wo");
    fake_expect(fake, "a:message p wo");
    fake_durable(a, 1);
    fake_run(fake);
    fake_run(fake);
    fake_expect(fake, "b:start; b:connect me");
    read_all();
    fake_forget(fake);
    near_log.len = 0;
    tell(p, "wsc");
    fake_expect(fake, "a:message p wsc");
    fake_durable(a, 2);
    fake_run(fake);
    fake_run(fake);
    fake_expect(fake, "b:message me eb; b:close me 4000 enough clean");
    expect_near("closed 4000 clean");
    end(fake);
}

static void a_batch_that_fails_ends_it(void **state)
{
    (void)state;
    struct fake_peer *p;
    struct fake *fake = begin(NULL, &p);

    tell(p, "o");
    read_all();
    fake_forget(fake);
    near_log.len = 0;
    tell(p, "ws");
    fake_store_end(&fake->store, fake_store_next(&fake->store, fake_room(fake, "a")->data->store),
                   STORE_FAILED);
    fake_run(fake);
    fake_run(fake);
    fake_expect(fake, "a:message p ws; p close 1011 Internal error; a:end; b:close me 1011 Internal error");
    expect_near("closed 1011 Internal error");
    end(fake);
}

static void more_than_may_wait_closes_it(void **state)
{
    (void)state;
    const struct room_limits limits = {
        .events = 100, .handlers = 10, .idle_ms = 1000000, .output = 1 << 20, .queue = link_cost(40) + 60};
    struct fake_peer *p;
    struct fake *fake = begin(&limits, &p);

    tell(p, "o");
    read_all();
    fake_forget(fake);
    near_log.len = 0;
    tell(p, "LL");
    assert_int_equal(rc, -EPIPE);
    fake_expect(fake, "a:message p LL; b:message me ........................................; b:close me "
                      "1013 Too much waits to be sent to this connection");
    expect_near("closed 1013 Too much waits to be sent to this connection");
    link_free(near);

    tell(p, "o"); /* the other way: what comes is not read */
    fake_forget(fake);
    near_log.len = 0;
    for (int i = 0; i < 20; i++)
        tell(p, "s");
    assert_int_equal(near->state, LINK_CLOSED);
    assert_int_equal(near->code, 1013);
    read_all();
    assert_non_null(strstr((const char *)fake->log.data,
                           "b:close me 1013 Too much waits to be sent to this connection; "));
    end(fake);
}

/* However short it is: each gets a mail, which counts where it is sent and where it waits. */
static void a_broadcast_counts_for_each(void **state)
{
    (void)state;
    const struct room_limits limits = {
        .events = 100, .handlers = 10, .idle_ms = 1000000, .output = 1 << 20, .queue = 10 * link_cost(0)};
    struct fake_peer *p;
    struct fake *fake = begin(&limits, &p);
    struct room *room = fake_room(fake, "b");
    struct bytes *nothing = bytes_copy("", 0);

    tell(p, "o");
    struct link *first = near;
    tell(p, "o");
    while (link_next(first))
        link_take(first);
    read_all();
    tell(p, "");
    room_turn_begin(room);
    for (size_t i = 1; i <= 10; i++) {
        assert_int_equal(room_broadcast(room, nothing, false, NULL, 0), 0);
        size_t alone = i * sizeof(struct effect) + bytes_cost(nothing);
        assert_int_equal(fake->rooms.staged.bytes, alone + 2 * i * link_cost(0));
    }
    room_turn_end(room);
    tell(p, "");
    read_all();
    assert_int_equal(first->state, LINK_OPEN); /* one takes what comes, the other one does not */
    tell(p, "");
    assert_int_equal(fake_broadcast(room, "", NULL, 0), 0);
    tell(p, "");
    read_all();
    assert_int_equal(first->state, LINK_CLOSED);
    assert_int_equal(first->code, 1013);
    assert_int_equal(near->state, LINK_OPEN);
    link_free(first);
    tell(p, "");
    room_turn_begin(room);
    assert_int_equal(room_broadcast(room, nothing, false, NULL, 0), 0);
    assert_int_equal(fake->rooms.staged.bytes, sizeof(struct effect) + bytes_cost(nothing) + link_cost(0));
    room_turn_end(room);
    tell(p, "");
    bytes_unref(nothing);
    end(fake);
}

static void it_may_not_be_let_in(void **state)
{
    (void)state;
    struct fake_peer *p;
    struct fake *fake = begin(NULL, &p);

    fake->no_vm = true;
    tell(p, "o");
    fake_expect(fake, "a:message p o");
    expect_near("refused 1006 Internal error");
    link_free(near);
    fake->no_vm = false;
    (void)fake_connect(fake, fake_room(fake, "b"), "q");
    fake_run(fake);
    fake_forget(fake);
    near_log.len = 0;
    fake->no_vm = true; /* the handler fails */
    tell(p, "o");
    fake_expect(fake, "a:message p o; b:connect me");
    expect_near("closed 1011 Internal error clean");
    fake->no_vm = false;
    end(fake);
}

static bool is_closed(struct fake *fake)
{
    (void)fake;
    return near->state == LINK_CLOSED;
}

static enum act never(struct fake *fake, struct room *room, struct event *event)
{
    return event->kind == EVENT_CONNECT && strcmp(room->id, "b") == 0 ? ACT_WAIT : handle(fake, room, event);
}

static void being_let_in_has_its_time(void **state)
{
    (void)state;
    static const struct room_limits limits = {
        .events = 100, .handlers = 10, .idle_ms = 1000000, .output = 1 << 20, .call_ms = 5};
    struct fake_peer *p;
    struct fake *fake = begin(&limits, &p);

    fake->handler = never;
    tell(p, "o");
    fake_wait(fake, is_closed);
    fake_run(fake);
    fake_run(fake);
    fake_expect(fake, "a:message p o; b:start; b:connect me");
    expect_near("refused 1006 the room has not answered within 5 ms (callTimeout)");
    fake_wake(fake, 0);
    fake_run(fake);
    fake_run(fake);
    fake_expect(fake, "b:wake; b:close me 1006 the room has not answered within 5 ms (callTimeout)");
    end(fake);
}

static void it_goes_with_either_room(void **state)
{
    (void)state;
    struct fake_peer *p;
    struct fake *fake = begin(NULL, &p);

    tell(p, "o");
    read_all();
    fake_forget(fake);
    near_log.len = 0;
    room_remove(fake_room(fake, "b"));
    fake_run(fake);
    fake_run(fake);
    fake_expect(fake, "b:end");
    expect_near("closed 1001 The room has left memory clean");
    link_free(near);
    tell(p, "o");
    read_all();
    fake_forget(fake);
    near_log.len = 0;
    link_free(near); /* the end of a's VM */
    near = NULL;
    fake_run(fake);
    fake_run(fake);
    fake_expect(fake, "b:close me 1006");
    tell(p, "wo"); /* it never leaves */
    link_free(near);
    near = NULL;
    fake_durable(fake_room(fake, "a"), 1);
    fake_run(fake);
    fake_expect(fake, "a:message p wo");
    end(fake);
}

static void a_room_that_is_busy_takes_them_later(void **state)
{
    (void)state;
    static const struct room_limits limits = {.events = 100,
                                              .handlers = 1,
                                              .idle_ms = 1000000,
                                              .output = 1 << 20};
    struct fake_peer *p;
    struct fake *fake = begin(&limits, &p);

    tell(p, "o");
    read_all();
    struct fake_peer *q = fake_connect(fake, fake_room(fake, "b"), "q");
    fake_run(fake);
    fake->handler = never;
    struct fake_peer *r = fake_connect(fake, fake_room(fake, "b"), "r"); /* waits: the room takes nothing */
    fake_run(fake);
    fake_forget(fake);
    near_log.len = 0;
    tell(p, "ssc");
    fake_expect(fake, "a:message p ssc");
    assert_int_equal(near->pending, 4);
    fake_wake(fake, 0);
    for (int i = 0; i < 4; i++)
        fake_run(fake);
    read_all();
    fake_expect(fake, "b:wake; r accept; b:message me eb; broadcast all to q r; b:message me eb; "
                      "broadcast all to q r; b:close me 4000 enough clean");
    assert_int_equal(near->state, LINK_CLOSED); /* what came back before it was closed may be read still */
    (void)q;
    (void)r;
    end(fake);
}

static void rooms_that_stop_end_links(void **state)
{
    (void)state;
    struct fake_peer *p;
    struct fake *fake = begin(NULL, &p);

    tell(p, "o");
    read_all();
    fake_forget(fake);
    near_log.len = 0;
    rooms_stop(&fake->rooms, 10000, fake_on_empty, fake);
    assert_int_equal(near->state, LINK_CLOSED);
    assert_int_equal(near->code, 1001);
    link_free(near); /* as the end of a's VM does */
    near = NULL;
    fake_wait(fake, fake_is_empty);
    end(fake);
}

static void links_cross_threads(void **state)
{
    (void)state;
    struct fake_peer *p;
    struct fake *one = begin(NULL, &p), *two = fake_begin(NULL);
    struct rooms *all[] = {&two->rooms, &two->rooms};
    struct rooms_team team = {.rooms = all, .count = 2};

    two->handler = handle;
    one->rooms.team = two->rooms.team = &team;
    fake_message(p, "o");
    for (int i = 0; i < 6; i++) {
        fake_run(one);
        fake_run(two);
    }
    assert_int_equal(team.away, 2);
    read_all();
    fake_message(p, "sx");
    for (int i = 0; i < 6; i++) {
        fake_run(one);
        fake_run(two);
    }
    read_all();
    fake_expect(two, "b:start; b:connect me; b:message me eb; b:message me x; b:close me 4001 bye clean");
    fake_expect(one, "a:message p o; a:message p sx");
    expect_near("got hello; closed 4001 bye clean; got echo; got all");
    link_free(near);
    near = NULL;
    assert_int_equal(team.away, 0);
    one->rooms.team = two->rooms.team = NULL;
    end(two);
    end(one);
}

/* Both ends have closed, its onClose waits, and the room has found that it may read on: that goes with it. */
static void going_on_ends_with_its_peer(void **state)
{
    (void)state;
    struct fake_peer *p;
    struct fake *fake = begin(NULL, &p);

    tell(p, "o");
    struct peer *peer = peer_ref(room_find_peer(fake_room(fake, "b"), SPAN("me")));
    tell(p, "c");
    assert_null(peer->room);
    assert_int_equal(peer->refs, 1);
    peer->kind->resume(peer);
    peer_unref(peer);
    loop_step(&fake->loop);
    assert_true(list_empty(&fake->loop.soon));
    fake_forget(fake);
    end(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_in_order),
        cmocka_unit_test(closed_by_the_one_that_has_opened_it),
        cmocka_unit_test(each_direction_has_its_gate),
        cmocka_unit_test(a_batch_that_fails_ends_it),
        cmocka_unit_test(more_than_may_wait_closes_it),
        cmocka_unit_test(a_broadcast_counts_for_each),
        cmocka_unit_test(it_may_not_be_let_in),
        cmocka_unit_test(being_let_in_has_its_time),
        cmocka_unit_test(it_goes_with_either_room),
        cmocka_unit_test(a_room_that_is_busy_takes_them_later),
        cmocka_unit_test(rooms_that_stop_end_links),
        cmocka_unit_test(links_cross_threads),
        cmocka_unit_test(going_on_ends_with_its_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
