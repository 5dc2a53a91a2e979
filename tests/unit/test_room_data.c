/* What a room's handlers read and write: a read sees all that the room has written, wherever it is by then. */
#include "data_driver.h"

/* ---- keys ---- */

static void a_read_sees_the_rooms_own_writes(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put k 1; get k; put k 2; get k; del k; get k; put k 3; put e; get k e");
    fake_expect(data->fake, "k=1; k=2; k=nil; k=3 e=");
    assert_int_equal(data->fake->store.n_reads, 0); /* and asks nobody */
    assert_int_equal(data->fake->store.n_batches, 1);
    data_tell(data, a, "get k e; put k 4; get k");
    fake_expect(data->fake, "k=3 e=; k=4");
    data_batch(data, STORE_OK);
    data_tell(data, a, "get k e");
    fake_expect(data->fake, "k=4 e=");
    data_batch(data, STORE_OK);
    data_tell(data, a, "get k e");
    fake_expect(data->fake, "k=4 e=");
    assert_int_equal(data->fake->store.n_reads, 0);
    data_end(data);
}

static void what_is_unknown_is_asked_for_once(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a"), *b = data_peer(data, "s", "b");

    data_tell(data, a, "put here 1");
    data_settle(data);
    rooms_drop(&data->fake->rooms);
    data->fake->rooms.stopping = false;
    loop_step(&data->fake->loop);
    a = data_peer(data, "r", "a");
    data_tell(data, a, "get here gone here; get here gone; put here 2; get here gone");
    fake_expect(data->fake, "");
    assert_true(a->peer.room->input_closed);
    data_answer(data, STORE_OK);
    fake_expect(data->fake, "here=1 gone=nil here=1; here=1 gone=nil; here=2 gone=nil");
    assert_int_equal(data->fake->store.n_reads, 1);
    assert_null(b->peer.room);
    data_settle(data);
    data_end(data);
}

/* A key that is known is not asked for along with others. */
static void only_the_unknown_is_asked_for(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put k 1; get x k y");
    struct store_read *read = fake_store_look(&data->fake->store);
    struct span rest = {(const char *)read->keys.data, read->keys.len}, key;
    assert_true(store_next_bytes(&rest, &key) && span_equal(key, SPAN("x")));
    assert_true(store_next_bytes(&rest, &key) && span_equal(key, SPAN("y")));
    assert_int_equal(rest.len, 0);
    fake_store_give(read, STORE_OK);
    fake_run(data->fake);
    fake_expect(data->fake, "x=nil k=1 y=nil");
    data_end(data);
}

static void any_bytes_are_a_key(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a,
              "put a%00 1; put a%00%00 2; put %ff 3; put %ff%ff 4; put a 5; put %00 %00; get a%00 %00");
    data_settled(data, "a%00=1 %00=%00");
    data_tell(
        data, a,
        "list - -; list a a%00; list a a%00%00; list a%00 %ff; list %ff -; list - - 2 r; list - %ff 1 r");
    data_settled(data, "[%00=%00 a=5 a%00=1 a%00%00=2 %ff=3 %ff%ff=4]; [a=5]; [a=5 a%00=1]; "
                       "[a%00=1 a%00%00=2]; [%ff=3 %ff%ff=4]; "
                       "[%ff%ff=4 %ff=3 a%00%00=2 a%00=1 a=5 %00=%00]; [a%00%00=2 a%00=1 a=5 %00=%00]");
    data_end(data);
}

static void reading_fails(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put k 1");
    data_settle(data);
    data_tell(data, a, "get x; get k; list - -; alarm?; get x");
    for (int i = 0; i < 3; i++)
        data_answer(data, STORE_FAILED);
    fake_expect(data->fake, "failed: the disk can't be read; k=1; failed: the disk can't be read; "
                            "failed: the disk can't be read");
    data_answer(data, STORE_OK); /* nothing was learned from the failure */
    fake_expect(data->fake, "x=nil");
    data_end(data);
}

/* A room without a store says so; it never waits. */
static void without_a_store(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct room *room = a->peer.room;

    data->fake->rooms.store = NULL;
    data_tell(data, a, "put k 1; del k; clear; alarm 5; sync; relieve; send x");
    char want[100];
    snprintf(want, sizeof want, "error %d; error %d; error %d; error %d; a send x", -ENODEV, -ENODEV, -ENODEV,
             -ENODEV);
    fake_expect(data->fake, want);
    assert_int_equal(data_ask(room, &SPAN("k"), 1, data), -ENODEV);
    assert_int_equal(data_ask_head(room, data), -ENODEV);
    assert_int_equal(data_ask_range(room, &(struct data_range){.start = SPAN("")}, data), -ENODEV);
    assert_int_equal(data_transaction_begin(room), -ENODEV);
    assert_int_equal(data_save_self(room, SPAN("self")), -ENODEV);
    assert_false(room->input_closed);
    data->fake->rooms.store = &data->fake->store.base;
    data_end(data);
}

/* ---- ranges ---- */

/* What is stored, what waits to be, and what the turn itself has written. */
static void ranges_have_what_was_written(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put b 1; put d 1; put f 1; put h 1; put j 1");
    data_settle(data);
    data_tell(data, a, "put a 2; del b; put f 2; put g 2; put k 2");
    data_tell(data, a,
              "del h; put i 3; del zz; put f 3; list - -; list - - 0 r; list - - 1; list - - 2; "
              "list - - 2 r; list c i; list c i 1 r; list d d; list x -");
    while (!list_empty(&data->fake->store.reads)) /* no batch becomes durable meanwhile */
        data_answer(data, STORE_OK);
    fake_expect(data->fake, "[a=2 d=1 f=3 g=2 i=3 j=1 k=2]; [k=2 j=1 i=3 g=2 f=3 d=1 a=2]; "
                            "[a=2 d=1 f=3 g=2 i=3 j=1 k=2]; [a=2 d=1 f=3 g=2 i=3 j=1 k=2]; "
                            "[k=2 j=1 i=3 g=2 f=3 d=1 a=2]; [d=1 f=3 g=2]; [g=2 f=3 d=1]; []; []");
    data_tell(data, a, "list - -");
    data_settled(data, "[a=2 d=1 f=3 g=2 i=3 j=1 k=2]");
    data_end(data);
}

/* The store has looked before a batch was kept, and answers after: what it found is older than what is known. */
static void a_batch_is_kept_while_a_range_is_read(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put a 1; put b 1; put c 1");
    data_settle(data);
    data_tell(data, a, "del a; put b 2; put d 2");
    data_tell(data, a, "put e 3; list - -; list - - 0 r; get a b c d e");
    for (int i = 0; i < 2; i++) {
        struct store_read *read = fake_store_look(&data->fake->store);
        if (i == 0)
            data_batch(data, STORE_OK);
        assert_int_equal(a->peer.room->durable, 2);
        fake_store_give(read, STORE_OK);
        fake_run(data->fake);
    }
    fake_expect(data->fake, "[b=2 c=1 d=2 e=3]; [e=3 d=2 c=1 b=2]; a=nil b=2 c=1 d=2 e=3");
    data_end(data);
}

/* ---- everything is cleared ---- */

static void a_clear_forgets_everything(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put a 1; put b 1; alarm 7");
    data_settle(data);
    data_tell(data, a, "put c 2; clear; get a c x; put b 3; list - -; list - - 1 r; get b; alarm?");
    fake_expect(data->fake, "a=nil c=nil x=nil; [b=3]; [b=3]; b=3; alarm 7");
    assert_int_equal(data->fake->store.n_reads, 0); /* what the store has does not count any more */
    data_tell(data, a, "get a; list - -");
    fake_expect(data->fake, "a=nil; [b=3]");
    data_settle(data);
    data_tell(data, a, "get a b; list - -");
    data_settled(data, "a=nil b=3; [b=3]");
    assert_true(data->fake->store.n_reads > 0);
    data_end(data);
}

static void a_clear_becomes_durable_in_the_middle(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put a 1; put b 1");
    data_settle(data);
    data_tell(data, a, "clear; put b 2");
    data_tell(data, a, "put c 3; alarm?; get a; list - -; clear; get b; list - -; put d 4");
    struct store_read *read = fake_store_look(&data->fake->store);
    data_batch(data, STORE_OK);
    fake_store_give(read, STORE_OK);
    data_settle(data);
    fake_expect(data->fake, "alarm 0; a=nil; [b=2 c=3]; b=nil; []");
    data_tell(data, a, "list - -");
    data_settled(data, "[d=4]");
    data_end(data);
}

/* ---- transactions ---- */

static void a_transaction_is_kept_or_taken_back(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put a 1; put b 1; put c 1");
    data_settle(data);
    data_tell(data, a, "put b 2; begin; put a 3; del b; put b 4; put new 3; get a b c new; undo; get a b c");
    fake_expect(data->fake, "a=3 b=4 c=1 new=3; a=1 b=2 c=1");
    data_tell(data, a, "list - -; get new");
    data_settled(data, "[a=1 b=2 c=1]; new=nil");
    data_tell(data, a, "begin; put a 5; del c; keep; begin; put a 6; undo; get a c; list - -");
    data_settled(data, "a=5 c=nil; [a=5 b=2]");
    data_tell(data, a, "begin; keep; begin; undo; begin; put z 1; undo"); /* nothing is left to be stored */
    assert_int_equal(data->fake->store.n_batches, 0);
    data_tell(data, a, "list - -");
    data_settled(data, "[a=5 b=2]");
    data_end(data);
}

static void a_transaction_with_a_clear(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put a 1; put b 1; alarm 5");
    data_settle(data);
    data_tell(data, a,
              "put b 2; begin; put a 3; clear; put c 3; put a 4; clear; put d 5; alarm 9; get a b c d; "
              "alarm?; undo; get a b d; alarm?; list - -");
    data_settled(data, "a=nil b=nil c=nil d=5; alarm 9; a=1 b=2 d=nil; alarm 5; [a=1 b=2]");
    data_tell(data, a, "begin; put a 3; clear; put c 3; keep; get a c; list - -");
    data_settled(data, "a=nil c=3; [c=3]");
    data_tell(data, a, "clear; put x 1; begin; clear; put y 1; undo; get x y c; list - -");
    data_settled(data, "x=1 y=nil c=nil; [x=1]");
    data_end(data);
}

/* While a transaction waits for the store, what it has taken the place of becomes durable. */
static void a_batch_is_kept_during_a_transaction(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put a 1; put b 1");
    data_tell(data, a, "put b 2; put c 2");
    data_tell(data, a, "begin; put a 3; del b; put c 3; get x; undo; get a b c; list - -; put d 4");
    data_batch(data, STORE_OK);
    data_answer(data, STORE_OK);
    fake_expect(data->fake, "x=nil; a=1 b=2 c=2");
    data_settled(data, "[a=1 b=2 c=2]");
    data_tell(data, a, "list - -");
    data_settled(data, "[a=1 b=2 c=2 d=4]");
    data_end(data);
}

/* A handler that ends inside of a transaction, by an error or its time, or whose VM does. */
static void a_transaction_that_nobody_ends(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put k 1; begin; put k 2; fail");
    data_tell(data, a, "get k; put k 3; begin; clear; sleep");
    fake_expect(data->fake, "k=1");
    data_tell(data, a, "get k; begin; put k 4; undo; get k");
    fake_expect(data->fake, "k=3; k=3");
    data_wake(data);
    data_tell(data, a, "put k 5; begin; put k 6; put l 6; restart");
    data_settle(data);
    fake_expect(data->fake, "r:end; a close 1011 Internal error");
    a = data_peer(data, "r", "b");
    data_tell(data, a, "list - -; put k 7; begin; put l 7; get x");
    data_answer(data, STORE_OK);
    fake_expect(data->fake, "[k=5]");
    rooms_drop(&data->fake->rooms); /* while it waits for x */
    data_settle(data);
    fake_forget(data->fake);
    data->fake->rooms.stopping = false;
    a = data_peer(data, "r", "c");
    data_tell(data, a, "list - -");
    data_settled(data, "[k=7]");
    data_end(data);
}

/* Nothing but that: no batch is made of it. */
static void a_transaction_alone_that_nobody_ends(void **state)
{
    (void)state;
    struct data_world *data = data_begin();

    data_tell(data, data_peer(data, "r", "a"), "begin; put l 7; get x");
    rooms_drop(&data->fake->rooms);
    assert_int_equal(data->fake->store.n_batches, 0);
    data_settle(data);
    data_end(data);
}

static void transactions_have_numbers(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct room *room = data_peer(data, "r", "a")->peer.room;

    assert_int_equal(data_transaction(room), 0);
    assert_int_equal(data_transaction_begin(room), 0);
    uint64_t first = data_transaction(room);
    assert_int_not_equal(first, 0);
    assert_int_equal(data_transaction_begin(room), -EBUSY);
    assert_int_equal(data_transaction(room), first);
    data_transaction_end(room, true);
    data_transaction_end(room, false);
    assert_int_equal(data_transaction(room), 0);
    assert_int_equal(data_transaction_begin(room), 0);
    assert_int_not_equal(data_transaction(room), first);
    data_transaction_end(room, false);
    data_end(data);
}

/* ---- alarms ---- */

static void the_alarm(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data->fake->store.alarm = DATA_ALARM + 3;
    data_tell(
        data, a,
        "begin; alarm 4; alarm?; undo; alarm?; alarm?; alarm 5; alarm?; clear; alarm?; alarm 0; alarm?");
    data_settled(data, "alarm 4; alarm 3; alarm 3; alarm 5; alarm 5; alarm 0");
    assert_int_equal(data->fake->store.n_reads, 1);
    assert_int_equal(data->fake->store.alarm, 0);
    data_tell(data, a, "begin; alarm 6; get x; keep");
    data_settled(data, "x=nil");
    assert_int_equal(data->fake->store.alarm, DATA_ALARM + 6);
    data_end(data);
}

/* ---- bounds ---- */

/* "put KEY" with a value of so many bytes. */
static const char *put_large(const char *key, size_t len)
{
    static char text[600000];
    assert_true(len + 40 < sizeof text);
    int at = snprintf(text, sizeof text, "put %s ", key);
    memset(text + at, 'v', len);
    text[(size_t)at + len] = '\0';
    return text;
}

/* What is durable is kept for reads up to a bound, the longest unused is forgotten; what is not is all kept. */
static void the_cache_has_a_bound(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct room *room = a->peer.room;
    struct span value;
    char key[16];

    data_tell(data, a, "put first 1");
    for (int i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "k%d", i);
        data_tell(data, a, put_large(key, 200000));
    }
    for (int i = 0; i < 8; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(data_get(room, span_of(key), &value), DATA_PRESENT);
    }
    assert_true(room->data->known.size > 1600000);
    for (int i = 0; i < 4; i++)
        data_batch(data, STORE_OK);
    assert_int_equal(data_get(room, SPAN("first"), &value),
                     DATA_UNKNOWN); /* what is not durable takes its place */
    while (data->fake->store.n_batches > 0) {
        assert_int_equal(data_get(room, SPAN("k4"), &value), DATA_PRESENT); /* used each time */
        data_batch(data, STORE_OK);
    }
    assert_true(room->data->known.size <= 1024 * 1024);
    assert_int_equal(data_get(room, SPAN("k0"), &value), DATA_UNKNOWN);
    assert_int_equal(data_get(room, SPAN("k4"), &value), DATA_PRESENT);
    assert_int_equal(data_get(room, SPAN("k7"), &value), DATA_PRESENT);
    data_end(data);
}

/* A turn that reads one key after the other keeps no more; those of one question are all known. */
static void the_cache_has_a_bound_within_a_turn(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct room *room = a->peer.room;
    struct span value, k1 = SPAN("k1");
    size_t most = 0;
    char key[16];

    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        data_tell(data, a, put_large(key, 200000));
        data_settle(data);
    }
    data_tell(data, a, "put x 1; get x");
    data->did = NULL;
    fake_forget(data->fake);
    for (int round = 0; round < 20; round++) {
        snprintf(key, sizeof key, "k%d", round);
        if (data_get(room, span_of(key), &value) != DATA_UNKNOWN)
            continue;
        struct span asked[] = {span_of(key), k1};
        struct fake_task *task = data_waits(room);
        assert_int_equal(data_ask(room, asked, 2, task), 0);
        struct store_read *read = fake_store_look(&data->fake->store);
        fake_store_give(read, STORE_OK);
        event_free(room->answer);
        room->answer = NULL;
        room->input_closed = false;
        struct data_answer answer;
        data_take(room, &answer);
        buf_fini(&answer.entries);
        data_waits_not(room);
        assert_int_equal(data_get(room, span_of(key), &value), DATA_PRESENT);
        assert_int_equal(data_get(room, k1, &value), DATA_PRESENT);
        assert_int_equal(data_get(room, SPAN("x"), &value), DATA_PRESENT); /* not durable */
        most = room->data->known.size > most ? room->data->known.size : most;
    }
    assert_true(most < 1600000);
    data_settle(data);
    data_end(data);
}

/* What is asked for is looked for up to a bound of bytes; what was not is as unknown as before. */
static void much_that_is_asked_for_at_once(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    char key[16];

    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "k%d", i);
        data_tell(data, a, put_large(key, 200000));
        data_settle(data);
    }
    fake_gone(a);
    data->fake->rooms.limits.idle_ms = 0;
    timer_start(&data->fake->loop, &data->fake->rooms.evict, 0);
    while (data->fake->rooms.n_rooms > 0) {
        loop_step(&data->fake->loop);
        fake_run(data->fake);
    }
    struct room *room = data_peer(data, "r", "c")->peer.room;
    struct span keys[] = {SPAN("k0"), SPAN("x"), SPAN("k1"), SPAN("y"), SPAN("k2")}, value;
    struct fake_task *task = data_waits(room);
    assert_int_equal(data_ask(room, keys, 5, task), 0);
    assert_true(fake_store_answer(&data->fake->store, STORE_OK));
    assert_int_equal(data_get(room, keys[0], &value), DATA_PRESENT);
    assert_int_equal(data_get(room, keys[1], &value), DATA_ABSENT);
    assert_int_equal(data_get(room, keys[2], &value), DATA_PRESENT);
    assert_int_equal(data_get(room, keys[3], &value), DATA_UNKNOWN);
    assert_int_equal(data_get(room, keys[4], &value), DATA_UNKNOWN);
    data_abandon(room);
    data_waits_not(room);
    data_end(data);
}

static void a_turn_writes_so_much_at_most(void **state)
{
    (void)state;
    const struct room_limits limits = {.events = 10, .handlers = 10, .idle_ms = 100000, .output = 4000};
    struct data_world *data = data_begin_with(&limits);
    struct fake_peer *a = data_peer(data, "r", "a");
    struct room *room = a->peer.room;
    char want[100];

    assert_true(data_fits(room, 1, 900));
    assert_false(data_fits(room, 1, 1000));
    assert_false(data_fits(room, 100, 0));
    data_tell(data, a, put_large("k", 1000));
    snprintf(want, sizeof want, "error %d", -ENOBUFS);
    fake_expect(data->fake, want);
    data_tell(data, a, "get k");
    data_settled(data, "k=nil");
    /* Operations without bytes of their own count too. */
    for (int i = 0; i < 2; i++) {
        int rc = 0, n = 0;
        for (; rc == 0; n++)
            rc = i ? data_set_alarm(room, DATA_ALARM + 5) : data_clear(room);
        assert_int_equal(rc, -ENOBUFS);
        assert_in_range(n, 10, 1000);
        assert_true(room->data->batch->base.ops.len <= 1000);
        data_turn_end(room);
        data_batch(data, STORE_OK);
    }
    data_end(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_sees_the_rooms_own_writes),
        cmocka_unit_test(what_is_unknown_is_asked_for_once),
        cmocka_unit_test(only_the_unknown_is_asked_for),
        cmocka_unit_test(any_bytes_are_a_key),
        cmocka_unit_test(reading_fails),
        cmocka_unit_test(without_a_store),
        cmocka_unit_test(ranges_have_what_was_written),
        cmocka_unit_test(a_batch_is_kept_while_a_range_is_read),
        cmocka_unit_test(a_clear_forgets_everything),
        cmocka_unit_test(a_clear_becomes_durable_in_the_middle),
        cmocka_unit_test(a_transaction_is_kept_or_taken_back),
        cmocka_unit_test(a_transaction_with_a_clear),
        cmocka_unit_test(a_batch_is_kept_during_a_transaction),
        cmocka_unit_test(a_transaction_that_nobody_ends),
        cmocka_unit_test(a_transaction_alone_that_nobody_ends),
        cmocka_unit_test(transactions_have_numbers),
        cmocka_unit_test(the_alarm),
        cmocka_unit_test(the_cache_has_a_bound),
        cmocka_unit_test(the_cache_has_a_bound_within_a_turn),
        cmocka_unit_test(much_that_is_asked_for_at_once),
        cmocka_unit_test(a_turn_writes_so_much_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
