/* A batch of a room is not kept: nothing that came of it leaves, and the room starts anew from what is stored. */
#include "data_driver.h"

static struct room_limits limits = {.events = 100, .handlers = 10, .idle_ms = 1000000, .output = 1 << 20};

static struct data_world *begin(void)
{
    struct data_world *data = data_begin_with(&limits);
    data->fake->no_memory = true; /* peers may be closed again, as they are then */
    return data;
}

static void nothing_leaves_after_a_failure(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_peer *a = data_peer(data, "r", "a"), *b = data_peer(data, "s", "b");
    struct fake_exchange gated, behind;

    data_tell(data, a, "put kept 1; send 0");
    data_batch(data, STORE_OK);
    data_tell(data, a, "put k 1; send 1");
    data_tell(data, a, "send 2");
    data_tell(data, a, "put k 2; send 3");
    data_tell(data, b, "put k 1; send other");
    fake_request(data->fake, a->peer.room, &gated, "gated");
    fake_run(data->fake);
    fake_expect(data->fake, "a send 0; r:request gated");
    data_batch(data, STORE_FAILED);
    fake_expect(data->fake, "gated = 503; a close 1011 Internal error; r:end");
    assert_null(a->peer.room);
    fake_request(data->fake, fake_room(data->fake, "r"), &behind, "behind");
    fake_run(data->fake);
    fake_expect(data->fake, ""); /* not before the store is done with all that was behind */
    data_batch(data, STORE_OK);  /* the store fails it */
    fake_expect(data->fake, "r:start; r:request behind; behind = 200 r");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "b send other"); /* another room has lost nothing */
    struct fake_peer *c = data_peer(data, "r", "c");
    data_tell(data, c, "list - -; put k 3; send 4");
    data_settled(data, "[kept=1]; c send 4");
    data_end(data);
}

static void handlers_that_wait_are_answered_with_503(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct fake_exchange sleeping, reading, syncing, inbox;

    data_tell(data, a, "put k 1; sleep; send never");
    data->on_request = "sleep";
    fake_request(data->fake, a->peer.room, &sleeping, "sleeping");
    fake_run(data->fake);
    data->on_request = "put k 2; begin; put k 3; get x; send never";
    fake_request(data->fake, a->peer.room, &reading, "reading");
    fake_run(data->fake);
    data->on_request = NULL;
    fake_request(data->fake, a->peer.room, &inbox, "inbox");
    fake_run(data->fake);
    fake_expect(data->fake, "r:request sleeping; r:request reading");
    data_batch(data, STORE_FAILED);
    fake_expect(data->fake, "a close 1011 Internal error; r:end; sleeping = 503; reading = 503");
    data_answer(data, STORE_OK);
    fake_expect(data->fake, "r:start; r:request inbox; inbox = 200 r");
    assert_true(list_empty(&data->fake->store.batches)); /* what the broken turn wrote is not stored */
    a = data_peer(data, "r", "b");
    data->on_request = "put k 5; sync";
    fake_request(data->fake, a->peer.room, &syncing, "syncing");
    fake_run(data->fake);
    data_batch(data, STORE_FAILED);
    fake_expect(data->fake, "r:request syncing; b close 1011 Internal error; r:end; syncing = 503");
    data_end(data);
}

/* An event that comes in while the store is not yet done with the rest waits, be it a client that comes or what
 * waited in the inbox: a VM that began now would read what is not stored. */
static void nothing_starts_before_the_store_is_done(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put k 1");
    data_tell(data, a, "put k 2");
    fake_queue(data->fake);
    struct fake_peer *b = fake_connect(data->fake, a->peer.room, "b");
    assert_int_equal(b->peer.state, PEER_NEW);
    struct store_batch *batch = fake_store_next(&data->fake->store, NULL);
    data->on_start = "get k";
    fake_store_end(&data->fake->store, batch, STORE_FAILED);
    fake_run(data->fake);
    struct fake_peer *c = fake_connect(data->fake, b->peer.room, "c");
    fake_run(data->fake);
    fake_expect(data->fake, "a close 1011 Internal error; r:end");
    data_batch(data, STORE_FAILED);
    fake_expect(data->fake, "r:start");
    data_answer(data, STORE_OK);
    fake_expect(data->fake, "k=nil; r:connect b; b join; b accept; r:connect c; c join; c accept");
    assert_true(b->accepted && c->accepted);
    data_end(data);
}

/* Who was not yet let in for want of a durable write is closed, once for all that it waits for. */
static void who_is_just_coming_is_closed(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put k 1");
    struct fake_peer *b = fake_connect(data->fake, a->peer.room, "b");
    fake_run(data->fake);
    assert_false(b->joined || b->accepted);
    data_batch(data, STORE_FAILED);
    assert_false(b->joined || b->accepted);
    assert_true(b->closed && a->closed);
    assert_null(b->peer.room);
    data_end(data);
}

static void twice_in_a_row(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put k 1");
    data_settle(data);
    for (int i = 0; i < 3; i++) {
        data_tell(data, a, "put k 2; get k");
        data_batch(data, i == 1 ? STORE_UNKNOWN : STORE_FAILED);
        fake_expect(data->fake, i == 0 ? "k=2; a close 1011 Internal error; r:end"
                                       : "k=1; k=2; a close 1011 Internal error; r:end");
        a = data_peer(data, "r", "a");
        data_tell(data, a, "get k");
        data_answer(data, STORE_OK);
    }
    fake_expect(data->fake, "k=1");
    assert_int_equal(data->fake->counters.rooms_restarted, 3);
    data_end(data);
}

/* onStart's own batch is lost: it runs again. */
static void in_on_start(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_exchange exchange;

    data->on_start = "put k 1; sync; put k 2";
    fake_request(data->fake, fake_room(data->fake, "r"), &exchange, "x");
    fake_run(data->fake);
    data_batch(data, STORE_FAILED);
    fake_expect(data->fake, "r:start; r:end; r:start");
    data_settle(data);
    fake_expect(data->fake, "r:request x; x = 200 r");
    data_end(data);
}

static void while_it_stops(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct data_world *data = begin();
        struct fake_peer *a = data_peer(data, "r", "a");

        data->on_stop = i == 2 ? "put s 1; sync" : "put s 1";
        if (i == 1)
            data_tell(data, a, "put k 1; send never");
        rooms_stop(&data->fake->rooms, FAKE_DEADLINE_MS, fake_on_empty, data->fake);
        fake_run(data->fake);
        data_batch(data, STORE_FAILED);
        fake_run(data->fake);
        data_settle(data);
        assert_true(data->fake->empty);
        fake_expect(data->fake, i == 1 ? "a close 1011 Internal error; r:end"
                                       : "r:stop; a close 1011 Internal error; r:end");
        data_end(data);
    }
}

/* An idle room leaves memory, and what its onStop wrote is lost. */
static void while_it_leaves(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_exchange exchange;

    data->on_stop = "put s 1";
    fake_request(data->fake, fake_room(data->fake, "r"), &exchange, "x");
    data->fake->rooms.limits.idle_ms = 0;
    timer_start(&data->fake->loop, &data->fake->rooms.evict, 0);
    while (data->fake->store.n_batches == 0)
        loop_step(&data->fake->loop);
    fake_request(data->fake, fake_room(data->fake, "r"), &exchange, "y");
    data_batch(data, STORE_FAILED);
    fake_expect(data->fake,
                "r:start; r:request x; x = 200 r; r:stop; r:end; r:start; r:request y; y = 200 r");
    data_end(data);
}

static void save(struct room *room, const char *self)
{
    assert_int_equal(data_save_self(room, span_of(self)), 0);
}

static void expect_self(struct data_world *data, const char *self)
{
    struct fake_head *head = fake_head_there(&data->fake->store, "main", "r");
    assert_non_null(head);
    assert_true(span_equal((struct span){(const char *)head->self.data, head->self.len}, span_of(self)));
}

/* A copy of self is no part of any turn: nothing waits for it, and nothing is lost when it fails. */
static void a_copy_of_self(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct room *room = a->peer.room;

    save(room, "1");
    data_tell(data, a, "send 1");
    fake_expect(data->fake, "a send 1");
    assert_true(data_busy(room));
    data_batch(data, STORE_OK);
    assert_false(data_busy(room));
    save(room, "2");
    data_tell(data, a, "put k 1; send 2"); /* behind it */
    data_batch(data, STORE_FAILED);
    fake_expect(data->fake, "");
    data_batch(data, STORE_OK);
    fake_expect(data->fake, "a send 2");
    assert_true(list_empty(&data->fake->store.batches)); /* it waits, and so the room stays */
    assert_true(data_busy(room) && data_saving(room));
    assert_int_equal(rooms_evict(room), -EBUSY);
    for (int i = 0; i < 3; i++) {
        data_try_again(room);
        data_batch(data, i == 2 ? STORE_OK : STORE_UNKNOWN);
    }
    expect_self(data, "2");
    assert_false(data_busy(room) || data_saving(room));
    data_end(data);
}

/* The next copy, and what destroys the room, take the place of one that has failed, or is about to. */
static void a_copy_that_was_not_kept_gives_way(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        struct data_world *data = begin();
        struct fake_peer *a = data_peer(data, "r", "a");
        struct room *room = a->peer.room;

        save(room, "1");
        if (known)
            data_batch(data, STORE_FAILED);
        save(room, "2");
        if (!known)
            data_batch(data, STORE_FAILED);
        data_batch(data, STORE_OK);
        expect_self(data, "2");
        assert_false(data_busy(room));
        save(room, "3");
        if (known)
            data_batch(data, STORE_FAILED);
        data_tell(data, a, "destroy");
        if (!known)
            data_batch(data, STORE_FAILED);
        data_batch(data, STORE_OK);
        expect_self(data, "");
        assert_true(list_empty(&data->fake->store.batches));
        fake_forget(data->fake);
        data_end(data);
    }
}

/* Where the VM is gone, or the rooms stop, nothing waits for the disk: it is tried once more. */
static void a_copy_without_a_vm(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct data_world *data = begin();
        struct fake_peer *a = data_peer(data, "r", "a");
        struct room *room = a->peer.room;

        save(room, "1");
        data_batch(data, STORE_FAILED);
        if (i == 0) {
            rooms_stop(&data->fake->rooms, FAKE_DEADLINE_MS, fake_on_empty, data->fake);
            data_batch(data, STORE_FAILED);
            fake_run(data->fake);
            fake_expect(data->fake, "r:stop; r:end");
            assert_true(data->fake->empty);
        } else if (i == 1) {
            data_tell(data, a, "restart");
            fake_expect(data->fake, "a close 1011 Internal error; r:end");
            (void)fake_connect(data->fake, room, "b");
            fake_run(data->fake);
            fake_expect(data->fake, "");
            data_batch(data, STORE_FAILED);
            fake_run(data->fake);
            fake_expect(data->fake, "r:start; r:connect b; b join; b accept");
        } else {
            data_tell(data, a, "put k 1");
            data_batch(data, STORE_FAILED);
            fake_expect(data->fake, "a close 1011 Internal error; r:end");
            assert_false(room->data);
        }
        assert_true(list_empty(&data->fake->store.batches));
        data_end(data);
    }
}

/* One that fails while the rooms stop, before onStop: that saves the same once more. */
static void a_copy_that_is_given_up(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct room *room = a->peer.room;

    save(room, "1");
    assert_false(data_self_lost(room));
    data->fake->rooms.stopping = true;
    fake_store_end(&data->fake->store, fake_store_next(&data->fake->store, NULL), STORE_FAILED);
    assert_true(data_self_lost(room) && !data_saving(room));
    save(room, "1");
    assert_false(data_self_lost(room));
    data->fake->rooms.stopping = false;
    data_batch(data, STORE_OK);
    expect_self(data, "1");
    data_end(data);
}

static void save_at_stop(struct data_world *data, struct room *room, enum act act, bool store)
{
    (void)data;
    (void)act;
    (void)store;
    if (room->state == ROOM_STOPPING)
        save(room, "stopped");
}

/* A room that leaves memory with a self that can't be kept waits, until somebody wants it. */
static void a_copy_of_a_room_that_leaves(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_exchange exchange;

    data->on_stop = "send nobody";
    data->turned = save_at_stop;
    fake_request(data->fake, fake_room(data->fake, "r"), &exchange, "x");
    data->fake->rooms.limits.idle_ms = 0;
    timer_start(&data->fake->loop, &data->fake->rooms.evict, 0);
    while (data->fake->store.n_batches == 0)
        loop_step(&data->fake->loop);
    fake_expect(data->fake, "r:start; r:request x; x = 200 r; r:stop");
    for (int i = 0; i < 2; i++) {
        data_batch(data, STORE_FAILED);
        fake_expect(data->fake, "");
        assert_int_equal(fake_room(data->fake, "r")->state, ROOM_STOPPING);
        if (i == 1)
            fake_request(data->fake, fake_room(data->fake, "r"), &exchange, "y");
        data_try_again(fake_room(data->fake, "r"));
    }
    data->turned = NULL;
    data_batch(data, STORE_FAILED);
    fake_expect(data->fake, "r:end; r:start; r:request y; y = 200 r");
    data_end(data);
}

/* The room is gone when its batch fails: nobody is there to be told. */
static void of_a_room_that_is_gone(void **state)
{
    (void)state;
    struct data_world *data = begin();
    struct fake_peer *a = data_peer(data, "r", "a");

    data_tell(data, a, "put k 1");
    data_tell(data, a, "put k 2; get x");
    rooms_drop(&data->fake->rooms);
    fake_forget(data->fake);
    for (int i = 0; i < 2; i++)
        data_batch(data, STORE_FAILED);
    data_answer(data, STORE_FAILED);
    fake_expect(data->fake, "");
    data_end(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leaves_after_a_failure),
        cmocka_unit_test(handlers_that_wait_are_answered_with_503),
        cmocka_unit_test(nothing_starts_before_the_store_is_done),
        cmocka_unit_test(who_is_just_coming_is_closed),
        cmocka_unit_test(twice_in_a_row),
        cmocka_unit_test(in_on_start),
        cmocka_unit_test(while_it_stops),
        cmocka_unit_test(while_it_leaves),
        cmocka_unit_test(a_copy_of_self),
        cmocka_unit_test(a_copy_that_was_not_kept_gives_way),
        cmocka_unit_test(a_copy_without_a_vm),
        cmocka_unit_test(a_copy_that_is_given_up),
        cmocka_unit_test(a_copy_of_a_room_that_leaves),
        cmocka_unit_test(of_a_room_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
