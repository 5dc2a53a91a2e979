/* Bodies that are being read count for the room that they are meant for. */
#include "edge_driver.h"

#define LIMIT 100000u

#define POST(length) "POST /party/r/x HTTP/1.1\r\nHost: a\r\nContent-Length: " length "\r\n\r\n"

static struct world *world_limited(void)
{
    struct world *world = world_new();
    world->config.limits.room_memory = LIMIT;
    world_open(world);
    return world;
}

/* A client that has sent a head and the first bytes of a body, which count from then on. */
static struct client client_begin(struct world *world, const char *head, size_t counts)
{
    struct client client = client_open(world, false);
    client_send(world, &client, head);
    client_send(world, &client, "0123456789");
    WAIT(world, !list_empty(&world->edge.http_conns) && newest_conn(world)->intake.bytes == counts);
    return client;
}

static void client_send_rest(struct world *world, struct client *client, size_t len)
{
    char *rest = malloc(len);
    assert_non_null(rest);
    memset(rest, 'x', len);
    client_send_bytes(world, client, rest, len);
    free(rest);
}

static void expect_refusal(struct world *world, struct client *client)
{
    const char *head;
    expect_head_of(world, client, "503 close The room has too much to do", &head);
    assert_true(head_says(head, "Retry-After", "1"));
}

/* What a body of this announced length takes; small ones have their memory at once. */
static size_t cost_of(size_t len)
{
    struct bytes *bytes = bytes_new_growing(len);
    assert_non_null(bytes);
    size_t cost = bytes_cost(bytes);
    bytes_unref(bytes);
    return cost;
}

static enum act answer_briefly(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind == EVENT_REQUEST)
        respond(room, event, http_response_text(200, "ok"));
    return ACT_DONE;
}

/* Who brings more than the room may have is refused, and the others get through. */
static void bodies_of_a_room_are_bounded(void **state)
{
    (void)state;
    struct world *world = world_limited();
    world->handler = answer_briefly;
    struct client first = client_begin(world, POST("60000"), cost_of(60000));
    struct client second = client_begin(world, POST("30000"), cost_of(30000));
    struct client third = client_open(world, false);

    client_send(world, &third, POST("20000") "0123456789");
    expect_refusal(world, &third);
    assert_null(newest_conn(world)->parser.request); /* though its connection lingers */
    assert_int_equal(newest_conn(world)->intake.bytes, 0);
    assert_int_equal(world->counters.requests_overload, 1);

    /* other rooms are not concerned */
    struct client other =
        client_begin(world, "POST /party/s/x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n",
                     cost_of(60000));

    assert_int_equal(world->edge.intakes.count, 2);
    client_send_rest(world, &first, 59990);
    client_send_rest(world, &second, 29990);
    client_send_rest(world, &other, 59990);
    expect_answer(world, &first, "200 ok");
    expect_answer(world, &second, "200 ok");
    expect_answer(world, &other, "200 ok");
    assert_int_equal(world->edge.intakes.count, 0);
    client_close(&first);
    client_close(&second);
    client_close(&third);
    client_close(&other);
    world_close(world);
}

static void a_body_alone_may_be_read_whatever_it_takes(void **state)
{
    (void)state;
    struct world *world = world_limited();
    world->handler = answer_briefly;
    struct client client = client_open(world, false);

    client_send(world, &client, POST("300000"));
    client_send_rest(world, &client, 300000);
    expect_answer(world, &client, "200 ok");
    assert_int_equal(world->edge.intakes.count, 0);
    client_close(&client);
    world_close(world);
}

static enum act start_waits(struct world *world, struct room *room, struct event *event)
{
    return event->kind == EVENT_START ? ACT_WAIT : answer_briefly(world, room, event);
}

/* What waits in the room's inbox counts too; and who asks whether to send its body learns it at once. */
static void the_inbox_counts_too(void **state)
{
    (void)state;
    struct world *world = world_limited();
    world->handler = start_waits;
    struct client first = client_open(world, false), second = client_open(world, false);

    client_send(world, &first, POST("80000"));
    client_send_rest(world, &first, 80000);
    WAIT(world, world->rooms.n_rooms == 1 && the_room(world)->inbox_size > 80000);
    client_send(world, &second, POST("30000") "0123456789");
    expect_refusal(world, &second);

    struct client third = client_open(world, false), fourth = client_open(world, false);
    client_send(world, &third, POST("10000")); /* all of it waits as well */
    client_send_rest(world, &third, 10000);
    WAIT(world, the_room(world)->n_events == 2);
    struct client fifth = client_open(world, false);
    client_send(world, &fifth, POST("20000"));
    client_send_rest(world, &fifth, 10); /* refused as soon as its memory is there */
    expect_refusal(world, &fifth);
    client_send(world, &fourth,
                "POST /party/r/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
    assert_memory_equal(next_head(world, &fourth), "HTTP/1.1 100 ", 13);

    wake(world);
    expect_answer(world, &first, "200 ok");
    expect_answer(world, &third, "200 ok");
    client_send(world, &fourth, "123456789");
    expect_answer(world, &fourth, "200 ok");
    client_close(&first);
    client_close(&second);
    client_close(&third);
    client_close(&fourth);
    client_close(&fifth);
    world_close(world);
}

static void a_full_inbox_needs_no_body(void **state)
{
    (void)state;
    struct world *world = world_limited();
    world->handler = start_waits;
    struct client first = client_open(world, false), second = client_open(world, false);

    client_send(world, &first, POST("100000"));
    client_send_rest(world, &first, 100000);
    WAIT(world, world->rooms.n_rooms == 1 && the_room(world)->inbox_size > LIMIT);
    client_send(world, &second,
                "POST /party/r/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
    expect_refusal(world, &second);
    wake(world);
    expect_answer(world, &first, "200 ok");
    client_close(&first);
    client_close(&second);
    world_close(world);
}

static void who_goes_gives_back_what_it_had(void **state)
{
    (void)state;
    struct world *world = world_limited();
    struct client first = client_begin(world, POST("60000"), cost_of(60000));
    struct client second = client_begin(world, POST("30000"), cost_of(30000));

    client_reset(&first);
    WAIT(world, world->net.n_conns == 1);
    assert_int_equal(newest_conn(world)->intake.intake != NULL, 1);
    struct client third = client_begin(world, POST("60000"), cost_of(60000));
    client_reset(&second);
    client_reset(&third);
    WAIT(world, world->net.n_conns == 0);
    assert_int_equal(world->edge.intakes.count, 0);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_of_a_room_are_bounded),
        cmocka_unit_test(a_body_alone_may_be_read_whatever_it_takes),
        cmocka_unit_test(the_inbox_counts_too),
        cmocka_unit_test(a_full_inbox_needs_no_body),
        cmocka_unit_test(who_goes_gives_back_what_it_had),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
