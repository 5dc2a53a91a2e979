/* edge: when an HTTP connection ends: clients that leave, are slow or send too much, and a server
 * that stops. */
#include "edge_driver.h"

/* ---- clients that leave ---- */

static void a_client_leaves_while_its_answer_is_due(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = wait_for_requests;
    world_open(world);
    for (int how = 0; how < 4; how++) {
        struct client client = client_open(world, false);
        client_send(world, &client, GET("/party/r/wait") GET("/party/r/2"));
        WAIT_SAID(world, "GET /wait\n");
        if (how == 0)
            client_close(&client);
        else if (how == 1)
            client_reset(&client);
        else /* whatever the server knows of it: its side of the connection has gone already */
            edge_reset_all(&world->edge);
        for (int i = 0; i < 20; i++)
            loop_step(&world->loop);
        if (how >= 2)
            assert_int_equal(world->net.n_conns, 0);
        if (how == 3) { /* its room goes, too */
            rooms_drop(&world->rooms);
            assert_true(list_empty(&world->tasks));
        } else {
            wake(world);
        }
        WAIT(world, world->net.n_conns == 0);
        assert_true(list_empty(&world->edge.http_conns));
        client_close(&client);
        world->log.len = 0; /* the second request may have been taken */
    }
    world_close(world);
}

static void a_client_that_ended_its_side_is_answered(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = wait_for_requests;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, GET("/party/r/wait") GET("/party/r/2"));
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    WAIT_SAID(world, "GET /wait\n");
    wake(world);
    expect_answer(world, &client, "200 GET /wait ");
    expect_answer(world, &client, "200 GET /2 ");
    expect_end(world, &client);
    assert_true(client.ended);
    client_close(&client);
    world_close(world);
}

static void clients_leave_at_any_other_time(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "", "\r\n", "GET /par", "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST /party/r HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"};
    struct world *world = world_new();
    world_open(world);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        for (int how = 0; how < 3; how++) {
            struct client client = client_open(world, false);
            client_send(world, &client, pieces[i]);
            WAIT(world, world->net.n_conns == 1);
            loop_step(&world->loop);
            if (how == 0)
                client_close(&client);
            else if (how == 1)
                client_reset(&client);
            else
                assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
            WAIT(world, world->net.n_conns == 0);
            if (how == 2)
                expect_end(world, &client);
            client_close(&client);
        }
    }
    assert_int_equal(world->rooms.n_rooms, 0);
    world_close(world);
}

/* ---- deadlines ---- */

/* Sends a byte every 20 ms. Has an answer come? */
static bool trickle(struct world *world, struct client *client, uint64_t *at)
{
    client_read(client, SIZE_MAX);
    if (clock_monotonic_ns() - *at > 20000000) {
        client_send(world, client, "a");
        *at = clock_monotonic_ns();
    }
    return client->in.len > 0;
}

static void a_head_has_its_time(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.header_timeout = 500;
    world_open(world);

    struct client silent = client_open(world, false);
    expect_end(world, &silent); /* not even a word, not even an answer */
    client_close(&silent);
    assert_int_equal(world->counters.timeouts, 0);

    struct client slow = client_open(world, false);
    client_send(world, &slow, "GET /party/r HT");
    expect_answer(world, &slow, "408 close The request's head did not come in time");
    expect_end(world, &slow);
    client_close(&slow);
    assert_int_equal(world->counters.timeouts, 1);
    assert_int_equal(world->counters.requests_refused, 1);

    /* Not each byte has that time, but all of them; and it begins with the first. */
    struct client drop = client_open(world, false);
    client_send(world, &drop, GET("/party/r"));
    expect_answer(world, &drop, "200 GET / ");
    client_send(world, &drop, "GET /party/r HTTP/1.1\r\nHost: a\r\nX-Long: ");
    uint64_t at = clock_monotonic_ns();
    WAIT(world, trickle(world, &drop, &at));
    expect_answer(world, &drop, "408 close The request's head did not come in time");
    client_close(&drop);
    world_close(world);
}

static void a_body_has_its_time(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.body_timeout = 60;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, "POST /party/r HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell");
    expect_answer(world, &client, "408 close The request's body did not come in time");
    expect_end(world, &client);
    assert_true(said(world, ""));
    assert_int_equal(world->counters.timeouts, 1);
    client_close(&client);
    world_close(world);
}

static void an_idle_connection_ends(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.idle_timeout = 60;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, GET("/party/r") "\r\n"); /* an empty line is nothing */
    expect_answer(world, &client, "200 GET / ");
    expect_end(world, &client);
    assert_true(client.ended);
    assert_int_equal(world->counters.timeouts, 0);
    client_close(&client);
    world_close(world);
}

/* The time for one thing does not end another. */
static void a_connection_outlives_its_first_deadline(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.header_timeout = 300;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, GET("/party/r/1"));
    expect_answer(world, &client, "200 GET /1 ");
    uint64_t until = clock_monotonic_ns() + 700000000;
    WAIT(world, clock_monotonic_ns() > until);
    client_send(world, &client, "POST /party/r/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    until = clock_monotonic_ns() + 700000000;
    WAIT(world, clock_monotonic_ns() > until);
    client_send(world, &client, "llo");
    expect_answer(world, &client, "200 POST /2 hello");
    client_close(&client);
    world_close(world);
}

/* Whatever time a handler takes, its client is not idle. */
static void a_handler_has_all_the_time(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.header_timeout = 300;
    world->config.limits.body_timeout = 100;
    world->config.limits.idle_timeout = 100;
    world->handler = wait_for_requests;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, "POST /party/r/wait HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    WAIT_SAID(world, "POST /wait\n");
    uint64_t until = clock_monotonic_ns() + 700000000;
    WAIT(world, clock_monotonic_ns() > until);
    assert_int_equal(world->net.n_conns, 1);
    wake(world);
    expect_answer(world, &client, "200 POST /wait hello");
    expect_end(world, &client);
    client_close(&client);
    world_close(world);
}

/* ---- limits ---- */

static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        int status;
    } rows[] = {
        {"GET /%0200d HTTP/1.1\r\nHost: a\r\n\r\n", 414},
        {"GET /party/r HTTP/1.1\r\nHost: a\r\nX: %0600d\r\n\r\n", 431},
        {"POST /party/r HTTP/1.1\r\nHost: a\r\nContent-Length: %d00000000\r\n\r\n", 413},
        {"POST /party/r HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%dffff\r\n", 413},
    };
    struct world *world = world_new();
    world->config.limits.url = 100;
    world->config.limits.headers = 500;
    world->config.limits.body = 1000;
    world->edge.http_limits.url = 100;
    world_open(world);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client client = client_open(world, false);
        char *text = NULL, chunk[4096];
        assert_true(asprintf(&text, rows[i].head, 1) > 0);
        client_send(world, &client, text);
        memset(chunk, 'x', sizeof chunk); /* goes on sending: the answer reaches it all the same */
        for (int n = 0; n < 200 && !client_read(&client, SIZE_MAX); n++) {
            ssize_t sent = send(client.fd, chunk, sizeof chunk, MSG_DONTWAIT | MSG_NOSIGNAL);
            assert_true(sent > 0 || errno == EAGAIN);
            loop_step(&world->loop);
        }
        shutdown(client.fd, SHUT_WR);
        const char *head = next_head(world, &client);
        assert_int_equal(strtol(head + 9, NULL, 10), rows[i].status);
        assert_true(head_says(head, "Connection", "close"));
        WAIT(world, client_read(&client, SIZE_MAX));
        assert_true(client.ended);
        free(text);
        client_close(&client);
    }
    assert_true(said(world, ""));
    world_close(world);
}

static void too_many_connections(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->full = true;
    world_open(world);
    struct client client = client_open(world, false);
    const char *head;

    expect_head_of(world, &client, "503 close Too many connections", &head);
    assert_true(head_says(head, "Retry-After", "5"));
    expect_end(world, &client);
    client_close(&client);
    world_close(world);
}

static void a_room_with_too_much_to_do(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.handlers = 1;
    world->handler = wait_for_requests;
    world_open(world);
    struct client first = client_open(world, false), second = client_open(world, false);
    const char *head;

    client_send(world, &first, GET("/party/r/wait"));
    WAIT_SAID(world, "GET /wait\n");
    client_send(world, &second, GET("/party/r/2"));
    expect_head_of(world, &second, "503 The room has too much to do", &head);
    assert_true(head_says(head, "Retry-After", "1"));
    wake(world);
    expect_answer(world, &first, "200 GET /wait ");
    client_send(world, &second, GET("/party/r/2")); /* its connection goes on */
    expect_answer(world, &second, "200 GET /2 ");
    client_close(&first);
    client_close(&second);
    world_close(world);
}

/* ---- slow readers ---- */

static enum act answer_with_size(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind == EVENT_REQUEST) {
        const char *path = event->request->subpath.ptr; /* "/c/SIZE" */
        respond_sized(room, event, path[1], strtoul(path + 3, NULL, 10));
    }
    return ACT_DONE;
}

static void expect_sized(struct world *world, struct client *client, char c, size_t size)
{
    const char *head = next_head(world, client);
    assert_memory_equal(head, "HTTP/1.1 200 ", 13);
    client_await(world, client, size);
    for (size_t at = 0; at < size; at++)
        assert_int_equal(client->in.data[at], c);
    buf_consume(&client->in, size);
}

/* One that is larger than the queue, and than the kernel's buffers, comes whole. */
static void a_large_answer_reaches_a_slow_reader(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.queue = 65536;
    world->handler = answer_with_size;
    world->sndbuf = 8192;
    world_open(world);
    struct client client = client_open(world, true);

    client_send(world, &client, GET("/party/r/x/2000000") GET("/party/r/y/10"));
    WAIT_SAID(world, "GET /x/2000000\n");
    for (int i = 0; i < 50; i++)
        loop_step(&world->loop);
    assert_true(said(world, "")); /* the next one has to wait */
    expect_sized(world, &client, 'x', 2000000);
    expect_sized(world, &client, 'y', 10);
    client_send(world, &client, GET("/party/r/z/20"));
    expect_sized(world, &client, 'z', 20);
    client_close(&client);
    world_close(world);
}

/* What waits for a client is bounded, however much it asks for; nothing is lost, whether the kernel takes
 * it at once or not. */
static void many_answers_wait_for_their_reader(void **state)
{
    (void)state;
    enum { REQUESTS = 400, SIZE = 50000, QUEUE = 200000 };
    for (int slow = 0; slow < 2; slow++) {
        struct world *world = world_new();
        world->config.limits.queue = QUEUE;
        world->handler = answer_with_size;
        world->quiet = true;
        world->sndbuf = slow ? 8192 : 0;
        world_open(world);
        struct client client = client_open(world, slow);
        struct buf text = {0};

        for (int i = 0; i < REQUESTS; i++)
            assert_int_equal(buf_printf(&text, "GET /party/r/%c/%d HTTP/1.1\r\nHost: a\r\n\r\n", 'a' + i % 26,
                                        SIZE),
                             0);
        client_send_bytes(world, &client, text.data, text.len);
        buf_fini(&text);
        WAIT(world, !list_empty(&world->edge.http_conns));
        struct http_conn *http = container_of(world->edge.http_conns.next, struct http_conn, link);
        if (slow) {
            uint64_t until = clock_monotonic_ns() + 100000000;
            WAIT(world, clock_monotonic_ns() > until);
            assert_true(world->counters.requests < REQUESTS / 2);
        }
        for (int i = 0; i < REQUESTS; i++) {
            assert_true(conn_pending(http->conn) <= QUEUE + SIZE + 1000);
            expect_sized(world, &client, (char)('a' + i % 26), SIZE);
        }
        assert_int_equal(world->counters.requests, REQUESTS);
        client_close(&client);
        world_close(world);
    }
}

static void a_client_that_never_reads_is_given_up(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.queue = 65536;
    world->config.limits.idle_timeout = 60;
    world->handler = answer_with_size;
    world->quiet = true;
    world->sndbuf = 8192;
    world_open(world);
    struct client client = client_open(world, true);

    for (int i = 0; i < 10; i++)
        client_send(world, &client, GET("/party/r/x/1000000"));
    WAIT(world, world->net.n_conns == 1);
    WAIT(world, world->net.n_conns == 0);
    client_close(&client);
    world_close(world);
}

/* ---- the server stops ---- */

static void stopping_ends_connections_behind_their_answers(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = wait_for_requests;
    world_open(world);
    struct client fresh = client_open(world, false), idle = client_open(world, false),
                  busy = client_open(world, false), half = client_open(world, false),
                  late = client_open(world, false);

    client_send(world, &idle, GET("/party/r/idle"));
    expect_answer(world, &idle, "200 GET /idle ");
    client_send(world, &busy, GET("/party/r/wait") GET("/party/r/2"));
    client_send(world, &half, "GET /party/r/half HTTP/1.1\r\n");
    client_send(world, &late, "POST /party/r/late HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    WAIT_SAID(world, "GET /idle\nGET /wait\n");
    WAIT(world, world->net.n_conns == 5);
    for (int i = 0; i < 10; i++)
        loop_step(&world->loop);

    edge_stop_http(&world->edge);
    expect_end(world, &fresh);
    expect_end(world, &idle);
    client_send(world, &half, "Host: a\r\n\r\n"); /* as long as the rooms are there, it is served */
    expect_answer(world, &half, "200 close GET /half ");
    expect_end(world, &half);
    rooms_stop(&world->rooms, 60000, world_on_empty, world);
    client_send(world, &late, "llo");
    expect_answer(world, &late, "503 close The server is stopping");
    expect_end(world, &late);
    assert_false(world->empty);
    wake(world);
    expect_answer(world, &busy, "200 close GET /wait ");
    expect_end(world, &busy);
    WAIT(world, world->empty && world->net.n_conns == 0);
    struct client *clients[] = {&fresh, &idle, &busy, &half, &late};
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        assert_true(clients[i]->ended); /* each by FIN */
        client_close(clients[i]);
    }
    world_close(world);
}

static void handlers_that_do_not_finish_are_answered_for(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = wait_for_requests;
    world_open(world);
    struct client client = client_open(world, false), half = client_open(world, false);

    client_send(world, &half, "GET /party/r/half HT");
    client_send(world, &client, GET("/party/r/wait"));
    WAIT_SAID(world, "GET /wait\n");
    edge_stop_http(&world->edge);
    rooms_stop(&world->rooms, 20, world_on_empty, world);
    const char *head = next_head(world, &client);
    assert_true(head[9] == '5');
    assert_true(head_says(head, "Connection", "close"));
    WAIT(world, world->empty && client_read(&client, SIZE_MAX));
    assert_false(list_empty(&world->edge.http_conns));
    edge_stop_sockets(&world->edge); /* without rooms it can't be served any more */
    expect_end(world, &half);
    client_close(&client);
    client_close(&half);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_leaves_while_its_answer_is_due),
        cmocka_unit_test(a_client_that_ended_its_side_is_answered),
        cmocka_unit_test(clients_leave_at_any_other_time),
        cmocka_unit_test(a_head_has_its_time),
        cmocka_unit_test(a_body_has_its_time),
        cmocka_unit_test(an_idle_connection_ends),
        cmocka_unit_test(a_connection_outlives_its_first_deadline),
        cmocka_unit_test(a_handler_has_all_the_time),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(too_many_connections),
        cmocka_unit_test(a_room_with_too_much_to_do),
        cmocka_unit_test(a_large_answer_reaches_a_slow_reader),
        cmocka_unit_test(many_answers_wait_for_their_reader),
        cmocka_unit_test(a_client_that_never_reads_is_given_up),
        cmocka_unit_test(stopping_ends_connections_behind_their_answers),
        cmocka_unit_test(handlers_that_do_not_finish_are_answered_for),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
