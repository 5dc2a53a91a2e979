/* The output gate: what leaves a room, when, and that what is stored is what was seen. Each rule, what was switched
 * off in the code, and which of these tests (f: of test_room_data_failure.c) went red then; that of the random
 * histories (test_room_data_random.c) did each time:
 *
 *   nothing leaves before all that its turn and earlier ones have written is durable
 *     room_turn_end lets it out at once:   nothing_leaves_before_its_turns_writes, …_the_writes_of_earlier_turns
 *     it waits for one batch less:         nothing_leaves_before_the_writes_of_earlier_turns
 *     end_part takes a part for a turn:    a_turn_goes_on_over_a_wait_for_the_store
 *   a room's outputs leave in order
 *     the queue is passed when it is not empty: outputs_leave_in_order_though_they_bring_events
 *   after a crash there are whole turns, the first so many
 *     a wait for the store ends the batch: after_a_crash_there_are_whole_turns
 *   who has seen a turn's output finds the turn after a crash
 *     end_part decides for one batch less: what_was_seen_is_found_after_a_crash
 *   nothing leaves after a batch has failed
 *     room_break lets out what waits:      nothing_leaves_after_a_failure (f)
 *     a broken room may start:             nothing_starts_before_the_store_is_done (f)
 *   no room acts on what another may still lose; they know of each other by what leaves alone
 *     room_turn_end lets it out at once:   rooms_hear_of_each_other_what_is_durable */
#include "data_driver.h"

/* Peers that do more than say what they are sent. */
static void (*usual_send)(struct peer *peer, struct bytes *data, bool binary);
static struct peer_kind kind;

static void sends_by(struct fake_peer *peer, void (*send)(struct peer *peer, struct bytes *data, bool binary))
{
    kind = fake_kind;
    usual_send = kind.send;
    kind.send = send;
    peer->peer.kind = &kind;
}

/* ---- what leaves, and when ---- */

static void a_room_that_writes_nothing_waits_for_nothing(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    fake_message(a, "send 1; begin; put x 1; undo; send 2"); /* at once: not even the loop is needed */
    fake_expect(data->fake, "a send 1; a send 2");
    data_end(data);
}

static void nothing_leaves_before_its_turns_writes(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct fake_exchange exchange;
    static const char *const writes[] = {"send 1; put k 1", "del k; send 1", "send 1; clear",
                                         "alarm 5; send 1", "send 1; put k 1; fail"};

    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        data_tell(data, a, writes[i]);
        fake_expect(data->fake, "");
        data_batch(data, STORE_OK);
        fake_expect(data->fake, "a send 1");
    }
    data->on_request = "put k 2";
    fake_request(data->fake, a->peer.room, &exchange, "x");
    fake_run(data->fake);
    fake_expect(data->fake, "r:request x");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "x = 200 r");
    data_end(data);
}

static void nothing_leaves_before_the_writes_of_earlier_turns(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a"), *b = data_peer(data, "r", "b"),
                     *c = data_peer(data, "s", "c");

    data_tell(data, a, "put k 1");
    data_tell(data, b, "send 1");
    data_tell(data, b, "put k 2; send 2");
    data_tell(data, c, "send other"); /* another room's */
    fake_expect(data->fake, "c send other");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "b send 1");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "b send 2");
    data_end(data);
}

static void outputs_leave_in_order(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put k 1; send 1");
    data_tell(data, a, "send 2");
    data_tell(data, a, "send 3; get x; send 4");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "a send 1; a send 2"); /* 3 may still be followed by a write */
    data_tell(data, a, "send 5");
    fake_expect(data->fake, "");
    data_answer(data, STORE_OK);
    fake_expect(data->fake, "x=nil; a send 3; a send 4; a send 5");
    data_end(data);
}

/* What leaves may bring the next event at once, while others still wait in the queue. */
static void ask_on(struct peer *base, struct bytes *bytes, bool binary)
{
    usual_send(base, bytes, binary);
    if (bytes->data[0] == '1')
        fake_message(fake_peer_of(base), "send 3");
}

static void outputs_leave_in_order_though_they_bring_events(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    sends_by(a, ask_on);
    data_tell(data, a, "put k 1; send 1; send 2");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "a send 1; a send 2; a send 3");
    data_end(data);
}

static void a_turn_goes_on_over_a_wait_for_the_store(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a"), *b = data_peer(data, "r", "b"),
                     *c = data_peer(data, "s", "c");

    data_tell(data, a, "send 1; put k 1; get x; send 2; list - -; put k 2; send 3");
    data_tell(data, b, "get k; send other");
    data_tell(data, c, "get k; send another");
    fake_expect(data->fake, "");
    assert_int_equal(data->fake->store.n_batches, 0); /* not yet: one turn is one batch */
    data_answer(data, STORE_OK);
    data_answer(data, STORE_OK); /* of the other room */
    fake_expect(data->fake, "x=nil; k=nil; c send another");
    data_answer(data, STORE_OK);
    fake_expect(data->fake, "[k=1]; k=2"); /* the next event, as soon as the turn is over */
    assert_int_equal(data->fake->store.n_batches, 1);
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "a send 1; a send 2; a send 3; b send other");
    data_end(data);
}

/* A wait for anything else ends the turn. */
static void another_wait_ends_the_turn(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a"), *b = data_peer(data, "r", "b");

    data_tell(data, a, "put k 1; send 1; sleep; get k; put k 3; send 2");
    data_tell(data, b, "get k; put k 2");
    fake_expect(data->fake, "k=1");
    assert_int_equal(data->fake->store.n_batches, 2);
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "a send 1");
    data_wake(data);
    fake_expect(data->fake, "k=2");
    assert_int_equal(data->fake->store.n_batches, 2);
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "a send 2");
    data_end(data);
}

/* ---- waiting ---- */

static void sync_waits_until_all_is_durable(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a"), *b = data_peer(data, "r", "b");

    data_tell(data, a, "sync; get x"); /* there is nothing to wait for */
    data_answer(data, STORE_OK);
    data_tell(data, b, "put k 1");
    data_tell(data, a, "put k 2; send before; sync; get k; send after; put k 3");
    data_tell(data, b, "get k");
    fake_expect(data->fake, "x=nil");
    assert_int_equal(data->fake->store.n_batches, 2);
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "k=2; k=3");
    data_batch(data, STORE_OK); /* the turn has gone on: all that it sent waits for its end */
    fake_expect(data->fake, "a send before; a send after");
    data_tell(data, a, "sync; begin; put k 4; undo; sync; send done");
    fake_expect(data->fake, "a send done");
    data_end(data);
}

static void relieve_waits_while_much_is_under_way(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    static char text[DATA_PENDING / 2 + 100];

    int at = snprintf(text, sizeof text, "put k ");
    memset(text + at, 'v', DATA_PENDING / 2);
    data_tell(data, a, "relieve; send 1");
    data_tell(data, a, text);
    data_tell(data, a, "relieve; get x");
    fake_expect(data->fake, "a send 1");
    data_answer(data, STORE_OK);
    data_tell(data, a, text);
    data_tell(data, a, text);
    data_tell(data, a, "relieve; get x");
    fake_expect(data->fake, "x=nil");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "x=nil");
    data_end(data);
}

/* ---- rooms that end meanwhile ---- */

static void a_room_is_not_idle_before_all_is_durable(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data->on_stop = "put last 1; get first";
    data_tell(data, a, "put first 1");
    fake_gone(a);
    data->fake->rooms.limits.idle_ms = 0;
    fake_run(data->fake);
    assert_false(list_linked(&fake_room(data->fake, "r")->in_idle));
    data_batch(data, STORE_OK);
    assert_true(list_linked(&fake_room(data->fake, "r")->in_idle));
    timer_start(&data->fake->loop, &data->fake->rooms.evict, 0);
    struct room *room = fake_room(data->fake, "r");
    while (room->state != ROOM_STOPPING)
        loop_step(&data->fake->loop);
    fake_run(data->fake);
    assert_int_equal(data->fake->rooms.n_rooms, 1); /* what onStop wrote is not durable */
    fake_expect(data->fake, "r:close a 1006; r:stop; first=1");
    data_batch(data, STORE_OK);
    assert_int_equal(data->fake->rooms.n_rooms, 0);
    fake_expect(data->fake, "r:end");
    assert_int_equal(data->fake->store.n_rooms, 0);
    a = data_peer(data, "r", "b");
    data_tell(data, a, "list - -");
    data_settled(data, "[first=1 last=1]");
    data_end(data);
}

/* onStop may wait for the store as well. */
static void on_stop_reads_and_writes(void **state)
{
    (void)state;
    struct data_world *data = data_begin();

    data->on_start = "get x; put started 1";
    data->on_stop = "list - -; put last 1; sync; put behind 2; get y";
    struct fake_peer *a = fake_connect(data->fake, fake_room(data->fake, "r"), "a");
    fake_run(data->fake);
    fake_expect(data->fake, "r:start"); /* who comes waits */
    data_answer(data, STORE_OK);
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "x=nil; r:connect a; a join; a accept");
    fake_gone(a);
    fake_run(data->fake);
    rooms_stop(&data->fake->rooms, FAKE_DEADLINE_MS, fake_on_empty, data->fake);
    while (!data->fake->empty)
        data_settle(data);
    fake_expect(data->fake, "r:close a 1006; r:stop; [started=1]; y=nil; r:end");
    assert_int_equal(data->fake->store.n_rooms, 0);
    data_end(data);
}

static void rooms_end_while_the_store_works(void **state)
{
    (void)state;
    static const char *const programs[] = {"get x",
                                           "list - -",
                                           "alarm?",
                                           "put k 1; sync",
                                           "put k 1; get x",
                                           "clear; list - -",
                                           "begin; put k 1; get x"};
    char text[100];

    for (size_t i = 0; i < 3 * (sizeof programs / sizeof *programs); i++) {
        struct data_world *data = data_begin();
        struct fake_peer *a = data_peer(data, "r", "a");

        data_tell(data, a, "put before 1");
        snprintf(text, sizeof text, "%s%s", i % 3 == 1 ? "restart; " : "", programs[i / 3]);
        data_tell(data, a, text);
        if (i % 3 == 0) { /* dropped; the answers come to nobody */
            rooms_drop(&data->fake->rooms);
        } else if (i % 3 == 1) { /* the VM goes, and another works before the answers come */
            struct fake_peer *b = fake_connect(data->fake, fake_room(data->fake, "r"), "b");
            fake_run(data->fake);
            data_tell(data, b, "put x 2; get x before");
            data_settle(data);
            assert_true(b->accepted && a->closed);
            fake_forget(data->fake);
            data_tell(data, b, "list x -");
            data_settled(data, "[x=2]");
        } else { /* its time to stop is over */
            rooms_stop(&data->fake->rooms, 0, fake_on_empty, data->fake);
            while (!data->fake->rooms.stop_forced)
                loop_step(&data->fake->loop);
        }
        data_settle(data);
        data_end(data);
    }
}

/* Rooms that have long to go when the time to stop is over: what they have written is kept. */
static void a_handler_is_dropped_in_the_middle_of_its_turn(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data->on_stop = "list - -; put stopped 1";
    data_tell(data, a, "put k 1; send 1; begin; put k 2; get x; put k 3; send 2");
    rooms_stop(&data->fake->rooms, 0, fake_on_empty, data->fake);
    while (!data->fake->rooms.stop_forced)
        loop_step(&data->fake->loop);
    fake_run(data->fake);
    data_answer(data, STORE_OK); /* to the one that was dropped */
    fake_expect(data->fake, "r:stop");
    data_settle(data);
    fake_expect(data->fake, "[k=1]; a send 1; r:end");
    struct fake_record *last = container_of(data->fake->store.records.prev, struct fake_record, link);
    assert_memory_equal(last->key, "stopped", 7);
    data_end(data);
}

/* ---- after a crash ---- */

/* What a server finds that starts with what is durable now: "k=v …". */
static void expect_stored(const struct fake_store *store, const char *want)
{
    struct buf text = {0};
    list_each(link, &store->records) {
        const struct fake_record *record = container_of(link, struct fake_record, link);
        data_say_entry(&text, (struct span){record->key, record->key_len},
                       &(struct span){record->value, record->len});
    }
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_string_equal((char *)text.data, want);
    buf_fini(&text);
}

static void after_a_crash_there_are_whole_turns(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put a 1; get x; put b 1; list - -; put a 2");
    while (fake_store_answer(&data->fake->store, STORE_OK)) {
        expect_stored(&data->fake->store, "");
        if (data->fake->store.n_batches > 0)
            assert_int_equal(fake_store_next(&data->fake->store, NULL)->n_ops, 3);
        fake_run(data->fake);
    }
    data_tell(data, a, "put b 2; put c 2; del a");
    expect_stored(&data->fake->store, "");
    assert_int_equal(data->fake->store.n_batches, 2);
    data_batch(data, STORE_OK);
    expect_stored(&data->fake->store, "a=2 b=1");
    data_batch(data, STORE_OK);
    expect_stored(&data->fake->store, "b=2 c=2");
    data_end(data);
}

/* Whatever a client has heard of is in the store when it hears it. */
static void hear(struct peer *base, struct bytes *bytes, bool binary)
{
    struct fake_store *store = &fake_peer_of(base)->fake->store;
    char want[8];
    snprintf(want, sizeof want, "k=%.*s", (int)bytes->len, (char *)bytes->data);
    expect_stored(store, want);
    usual_send(base, bytes, binary);
}

static void what_was_seen_is_found_after_a_crash(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    sends_by(a, hear);
    data_tell(data, a, "put k 1; send 1");
    data_tell(data, a, "send 2; get x; put k 2");
    data_batch(data, STORE_OK);
    data_answer(data, STORE_OK);
    data_batch(data, STORE_OK);
    data_tell(data, a, "send 3; put k 3; sync; send 3");
    data_batch(data, STORE_OK);
    data_tell(data, a, "send 3");
    fake_expect(data->fake, "a send 1; x=nil; a send 2; a send 3; a send 3; a send 3");
    data_end(data);
}

/* ---- other rooms ---- */

/* Who hears of one room acts on it in another. */
static struct fake_peer *in_other_room;

static void pass_on(struct peer *base, struct bytes *bytes, bool binary)
{
    char text[40];
    usual_send(base, bytes, binary);
    snprintf(text, sizeof text, "put heard %.*s; send heard", (int)bytes->len, (char *)bytes->data);
    fake_message(in_other_room, text);
}

static void rooms_hear_of_each_other_what_is_durable(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    in_other_room = data_peer(data, "s", "b");
    sends_by(a, pass_on);
    data_tell(data, a, "put k 1; send 1");
    assert_int_equal(data->fake->store.n_batches, 1); /* the other room knows nothing */
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "a send 1");
    assert_int_equal(data->fake->store.n_batches, 1);
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "b send heard");
    expect_stored(&data->fake->store, "k=1 heard=1");
    data_end(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_that_writes_nothing_waits_for_nothing),
        cmocka_unit_test(nothing_leaves_before_its_turns_writes),
        cmocka_unit_test(nothing_leaves_before_the_writes_of_earlier_turns),
        cmocka_unit_test(outputs_leave_in_order),
        cmocka_unit_test(outputs_leave_in_order_though_they_bring_events),
        cmocka_unit_test(a_turn_goes_on_over_a_wait_for_the_store),
        cmocka_unit_test(another_wait_ends_the_turn),
        cmocka_unit_test(sync_waits_until_all_is_durable),
        cmocka_unit_test(relieve_waits_while_much_is_under_way),
        cmocka_unit_test(a_room_is_not_idle_before_all_is_durable),
        cmocka_unit_test(on_stop_reads_and_writes),
        cmocka_unit_test(rooms_end_while_the_store_works),
        cmocka_unit_test(a_handler_is_dropped_in_the_middle_of_its_turn),
        cmocka_unit_test(after_a_crash_there_are_whole_turns),
        cmocka_unit_test(what_was_seen_is_found_after_a_crash),
        cmocka_unit_test(rooms_hear_of_each_other_what_is_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
