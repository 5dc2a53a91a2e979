/* Changes of a room's data from outside: an event of their own in a room that is in memory, no VM for them in one that
 * is not, and an answer when all is durable. */
#include "data_driver.h"

#include "room/change.h"

struct asked {
    struct room_change change;
    bool done;
};

static void on_done(struct room_change *change)
{
    container_of(change, struct asked, change)->done = true;
}

static void begin(struct asked *asked, const char *party, const char *id)
{
    *asked =
        (struct asked){.change = {.party = span_of(party), .id = span_of(id), .done = on_done, .result = 77}};
}

static void add_put(struct asked *asked, const char *key, const char *value)
{
    assert_int_equal(store_batch_put(&asked->change.batch, span_of(key), span_of(value)), 0);
}

static void ask(struct data_world *data, struct asked *asked)
{
    rooms_change(&data->fake->rooms, &asked->change);
    fake_run(data->fake);
}

static void ask_put(struct data_world *data, struct asked *asked, const char *id, const char *key,
                    const char *value)
{
    begin(asked, "main", id);
    add_put(asked, key, value);
    ask(data, asked);
}

static void expect_done(struct asked *asked, int result)
{
    assert_true(asked->done);
    assert_int_equal(asked->change.result, result);
    buf_fini(&asked->change.batch.ops);
    asked->done = false;
}

static void a_room_in_memory_sees_it(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct asked asked;

    data_tell(data, a, "put k 1; put gone 1");
    data_settled(data, "");
    begin(&asked, "main", "r");
    add_put(&asked, "k", "2");
    assert_int_equal(store_batch_delete(&asked.change.batch, SPAN("gone")), 0);
    assert_int_equal(store_batch_alarm(&asked.change.batch, DATA_ALARM + 5, 2), 0);
    ask(data, &asked);
    data_tell(data, a, "get k gone; alarm?");
    fake_expect(data->fake, "k=2 gone=nil; alarm 5");
    assert_int_equal(data->fake->store.n_batches, 1);
    assert_false(asked.done); /* not before it is durable */
    data_batch(data, STORE_OK);
    expect_done(&asked, 0);
    assert_int_equal(data->fake->store.n_reads, 0);
    data_end(data);
}

/* It is no part of a turn that waits for the store; a handler that sleeps lets it pass. */
static void it_has_its_place_among_the_events(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct asked asked, second;

    data_tell(data, a, "put k 1; get x; put k 2");
    ask_put(data, &asked, "r", "k", "3");
    assert_int_equal(data->fake->store.n_batches, 0);
    data_answer(data, STORE_OK);
    fake_expect(data->fake, "x=nil");
    data_tell(data, a, "get k");
    fake_expect(data->fake, "k=3");
    assert_int_equal(data->fake->store.n_batches, 2);
    data_settle(data);
    expect_done(&asked, 0);

    data_tell(data, a, "sleep; get k");
    ask_put(data, &second, "r", "k", "4");
    data_settle(data);
    expect_done(&second, 0);
    data_wake(data);
    fake_expect(data->fake, "k=4");
    data_end(data);
}

static void no_vm_is_made_for_it(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct asked asked;

    ask_put(data, &asked, "r", "k", "1");
    assert_non_null(rooms_find(&data->fake->rooms, SPAN("main"), SPAN("r")));
    data_settle(data);
    expect_done(&asked, 0);
    fake_run(data->fake);
    assert_null(rooms_find(&data->fake->rooms, SPAN("main"), SPAN("r"))); /* it goes again */
    assert_int_equal(data->fake->n_vms, 0);
    struct fake_peer *a = data_peer(data, "r", "a");
    data_tell(data, a, "get k");
    data_settled(data, "k=1");
    data_end(data);
}

/* A client comes while the change is not durable yet: there is one room, which has it. */
static void a_client_comes_meanwhile(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct asked asked;

    ask_put(data, &asked, "r", "k", "1");
    struct fake_peer *a = data_peer(data, "r", "a");
    data_tell(data, a, "get k; put k 2");
    fake_expect(data->fake, "k=1");
    data_settle(data);
    expect_done(&asked, 0);
    fake_run(data->fake);
    assert_non_null(rooms_find(&data->fake->rooms, SPAN("main"), SPAN("r")));
    assert_int_equal(data->fake->store.n_rooms, 1);
    data_end(data);
}

static void a_party_that_is_not_served(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct asked asked;

    begin(&asked, "gone", "r");
    add_put(&asked, "k", "1");
    ask(data, &asked);
    assert_null(rooms_find(&data->fake->rooms, SPAN("gone"), SPAN("r")));
    assert_false(asked.done);
    data_batch(data, STORE_OK);
    expect_done(&asked, 0);
    begin(&asked, "gone", "r");
    add_put(&asked, "k", "1");
    ask(data, &asked);
    data_batch(data, STORE_FAILED);
    assert_string_equal(asked.change.text, "the disk is full");
    expect_done(&asked, -EIO);
    data_end(data);
}

static void what_fails_is_said(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct asked asked;

    ask_put(data, &asked, "r", "k", "1");
    data_batch(data, STORE_FAILED);
    expect_done(&asked, -EIO);
    fake_forget(data->fake);
    a = data_peer(data, "r", "b");
    data_tell(data, a, "put k 1");
    data_settled(data, "");

    /* All of it, or nothing. */
    begin(&asked, "main", "r");
    add_put(&asked, "k", "2");
    assert_int_equal(store_batch_self(&asked.change.batch, SPAN("self")), 0);
    ask(data, &asked);
    expect_done(&asked, -EBUSY);
    assert_int_equal(data->fake->store.n_batches, 0);
    data_tell(data, a, "get k");
    fake_expect(data->fake, "k=1");

    data->fake->rooms.store = NULL;
    ask_put(data, &asked, "r", "k", "1");
    expect_done(&asked, -ENODEV);
    data->fake->rooms.store = &data->fake->store.base;
    data_end(data);
}

static void self_of_a_room_without_a_vm(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct asked asked;

    begin(&asked, "main", "r");
    assert_int_equal(store_batch_self(&asked.change.batch, SPAN("self")), 0);
    ask(data, &asked);
    assert_false(asked.done);
    data_batch(data, STORE_OK);
    expect_done(&asked, 0);
    data_end(data);
}

/* Its VM would read the self of before, and write that over it. */
static void a_room_does_not_start_before_its_self_is_there(void **state)
{
    static const enum store_result results[] = {STORE_OK, STORE_FAILED};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        struct data_world *data = data_begin();
        struct fake_exchange exchange;
        struct asked asked;
        begin(&asked, "main", "r");
        assert_int_equal(store_batch_self(&asked.change.batch, SPAN("self")), 0);
        ask(data, &asked);
        data->on_start = "get started";
        data->on_request = "get asked";
        fake_request(data->fake, fake_room(data->fake, "r"), &exchange, "x");
        for (int turns = 0; turns < 5; turns++)
            loop_step(&data->fake->loop);
        assert_int_equal(data->fake->store.n_reads, 0);
        data_batch(data, results[i]);
        expect_done(&asked, results[i] == STORE_OK ? 0 : -EIO);
        data_settle(data);
        fake_run(data->fake);
        assert_int_equal(data->fake->store.n_reads, 2);
        assert_int_equal(exchange.n_answers, 1);
        data_end(data);
    }
}

static void the_rooms_stop(void **state)
{
    (void)state;
    struct data_world *data = data_begin();
    struct fake_peer *a = data_peer(data, "r", "a");
    struct asked waits, late;

    data_tell(data, a, "get x");
    ask_put(data, &waits, "r", "k", "1"); /* the handler waits for the store */
    rooms_drop(&data->fake->rooms);
    loop_step(&data->fake->loop);
    loop_step(&data->fake->loop);
    expect_done(&waits, -ESHUTDOWN);
    ask_put(data, &late, "r", "k", "1");
    expect_done(&late, -ESHUTDOWN);
    data_end(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_in_memory_sees_it),
        cmocka_unit_test(it_has_its_place_among_the_events),
        cmocka_unit_test(no_vm_is_made_for_it),
        cmocka_unit_test(a_client_comes_meanwhile),
        cmocka_unit_test(a_party_that_is_not_served),
        cmocka_unit_test(what_fails_is_said),
        cmocka_unit_test(self_of_a_room_without_a_vm),
        cmocka_unit_test(the_rooms_stop),
        cmocka_unit_test(a_room_does_not_start_before_its_self_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
