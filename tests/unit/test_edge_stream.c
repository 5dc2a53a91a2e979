/* edge: answers whose body is made while it is sent: chunks, what is read meanwhile, clients that go. */
#include "edge_driver.h"

#include "base/check.h"

/* A body that the test gives. */
static struct test_source {
    struct http_source source;
    struct http_sink *sink; /* it was asked for */
    unsigned n_closed;
} body;

static void pull(struct http_source *source, struct http_sink *sink)
{
    (void)source;
    assert_null(body.sink);
    body.sink = sink;
}

static void close_body(struct http_source *source)
{
    assert_ptr_equal(source, &body.source);
    body.n_closed++;
    body.sink = NULL;
}

static enum act handler(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind != EVENT_REQUEST || !span_equal(event->request->subpath, SPAN("/stream")))
        return ACT_DONE;
    struct http_response *response = http_response_new(200);
    body = (struct test_source){.source = {.length = HTTP_LENGTH_UNKNOWN, .pull = pull, .close = close_body}};
    response->source = &body.source;
    room_respond(room, event, response);
    return ACT_DONE;
}

static void give(struct world *world, const char *text)
{
    WAIT(world, body.sink != NULL);
    struct http_sink *sink = body.sink;
    body.sink = NULL;
    sink->piece(sink, text ? bytes_copy(text, strlen(text)) : NULL);
}

static void finish(struct world *world)
{
    WAIT(world, body.sink != NULL);
    struct http_sink *sink = body.sink;
    body.sink = NULL;
    sink->end(sink);
}

static void expect_text(struct world *world, struct client *client, const char *text)
{
    client_await(world, client, strlen(text));
    assert_memory_equal(client->in.data, text, strlen(text));
    buf_consume(&client->in, strlen(text));
}

static struct world *begin(void)
{
    struct world *world = world_new();
    world->handler = handler;
    world->quiet = true;
    world_open(world);
    return world;
}

#define STREAM GET("/party/r/stream")

static void chunks_leave_as_they_come(void **state)
{
    (void)state;
    struct world *world = begin();
    struct client client = client_open(world, false);

    for (int i = 0; i < 3; i++) {
        client_send(world, &client, STREAM);
        const char *head = next_head(world, &client);
        assert_true(head_says(head, "Transfer-Encoding", "chunked"));
        assert_true(head_says(head, "Content-Length", NULL) && head_says(head, "Connection", NULL));
        give(world, "one");
        expect_text(world, &client, "3\r\none\r\n");
        give(world, "sixteen letters.");
        expect_text(world, &client, "10\r\nsixteen letters.\r\n");
        if (i == 1) /* what comes meanwhile waits */
            client_send(world, &client, GET("/party/r/next") GET("/party/r/then"));
        give(world, "x");
        finish(world);
        expect_text(world, &client, "1\r\nx\r\n0\r\n\r\n");
        if (i == 1) {
            expect_answer(world, &client, "200 GET /next ");
            expect_answer(world, &client, "200 GET /then ");
        }
        assert_int_equal(body.n_closed, 1);
    }
    client_close(&client);
    world_close(world);
}

static void one_that_fails_ends_the_connection(void **state)
{
    (void)state;
    struct world *world = begin();
    struct client client = client_open(world, false);

    client_send(world, &client, STREAM);
    next_head(world, &client);
    give(world, "one");
    give(world, NULL);
    expect_text(world, &client, "3\r\none\r\n");
    expect_end(world, &client);
    assert_int_equal(body.n_closed, 1);
    client_close(&client);

    client = client_open(world, false); /* HTTP/1.0: by RST, since its end would look whole */
    client_send(world, &client, "GET /party/r/stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const char *head = next_head(world, &client);
    assert_true(head_says(head, "Connection", "close") && head_says(head, "Transfer-Encoding", NULL));
    give(world, "one");
    expect_text(world, &client, "one");
    give(world, NULL);
    WAIT(world, client_read(&client, SIZE_MAX));
    assert_true(client.reset);
    client_close(&client);

    client = client_open(world, false);
    client_send(world, &client, "GET /party/r/stream HTTP/1.0\r\n\r\n");
    next_head(world, &client);
    give(world, "one");
    finish(world);
    expect_text(world, &client, "one");
    expect_end(world, &client);
    assert_true(client.ended);
    client_close(&client);
    world_close(world);
}

static void head_closes_the_source(void **state)
{
    (void)state;
    struct world *world = begin();
    struct client client = client_open(world, false);

    client_send(world, &client, "HEAD /party/r/stream HTTP/1.1\r\nHost: a\r\n\r\n" GET("/party/r/next"));
    assert_true(head_says(next_head(world, &client), "Transfer-Encoding", "chunked"));
    assert_int_equal(body.n_closed, 1);
    expect_answer(world, &client, "200 GET /next ");
    client_close(&client);
    world_close(world);
}

/* FIN, RST, and FIN while much that was pipelined waits. */
static void a_client_that_goes_is_noticed(void **state)
{
    (void)state;
    struct world *world = begin();
    for (int how = 0; how < 3; how++) {
        struct client client = client_open(world, false);
        client_send(world, &client, STREAM);
        next_head(world, &client);
        if (how == 2)
            client_send(world, &client, GET("/party/r/next") GET("/party/r/then"));
        WAIT(world, body.sink != NULL);
        if (how == 1)
            client_reset(&client);
        else
            client_close(&client);
        WAIT(world, world->net.n_conns == 0);
        assert_int_equal(body.n_closed, 1);
        assert_true(list_empty(&world->edge.http_conns));
    }
    world_close(world);
}

/* A client that sends no more may still read: it gets a zero in front of the next chunk's size, and the rest. */
static void a_client_that_ended_its_side_reads_on(void **state)
{
    (void)state;
    struct world *world = begin();
    struct client client = client_open(world, false);

    client_send(world, &client, STREAM GET("/party/r/next"));
    next_head(world, &client);
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    expect_text(world, &client, "0");
    give(world, "one");
    expect_text(world, &client, "3\r\none\r\n");
    finish(world);
    expect_text(world, &client, "0\r\n\r\n");
    expect_answer(world, &client, "200 GET /next ");
    expect_end(world, &client);
    assert_true(client.ended);
    client_close(&client);

    client = client_open(world, false); /* with its request */
    client_send(world, &client, STREAM);
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    next_head(world, &client);
    expect_text(world, &client, "0");
    finish(world);
    expect_text(world, &client, "0\r\n\r\n");
    expect_end(world, &client);
    client_close(&client);
    world_close(world);
}

/* What a client sends meanwhile is bounded. */
static void no_more_is_read_than_may_wait(void **state)
{
    (void)state;
    struct world *world = begin();
    world->config.limits.idle_timeout = 200;
    struct client client = client_open(world, false);
    static char many[64 * 1024];

    client_send(world, &client, STREAM);
    next_head(world, &client);
    memset(many, 'x', sizeof many);
    size_t sent = 0;
    for (int idle = 0; idle < 50;) {
        ssize_t n = send(client.fd, many, sizeof many, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        loop_step(&world->loop);
    }
    struct http_conn *http = newest_conn(world);
    assert_non_null(http->conn->left);
    assert_true(http->conn->left->len <= 65536 + CONN_READ_LITTLE);
    assert_true(http->conn->paused && sent > http->conn->left->len);
    give(world, "still");
    expect_text(world, &client, "5\r\nstill\r\n");
    client_reset(&client);
    WAIT(world, world->net.n_conns == 0);
    assert_int_equal(world->counters.timeouts, 0);
    world_close(world);
}

/* A source that has nothing for long is no reason to end; a client that takes nothing is. */
static void only_the_client_may_be_too_slow(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = handler;
    world->quiet = true;
    world->sndbuf = 4096;
    world_open(world);
    world->config.limits.idle_timeout = 200;
    struct client client = client_open(world, true);

    client_send(world, &client, STREAM);
    next_head(world, &client);
    uint64_t until = clock_monotonic_ns() + 700 * NS_PER_MS; /* several times over */
    WAIT(world, clock_monotonic_ns() > until);
    assert_int_equal(world->counters.timeouts, 0);
    give(world, "here");
    expect_text(world, &client, "4\r\nhere\r\n");
    while (world->counters.timeouts == 0) {
        static char much[100001];
        memset(much, 'x', sizeof much - 1);
        if (body.sink)
            give(world, much);
        loop_step(&world->loop);
    }
    WAIT(world, world->net.n_conns == 0);
    assert_int_equal(body.n_closed, 1);
    client_close(&client);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_leave_as_they_come),
        cmocka_unit_test(one_that_fails_ends_the_connection),
        cmocka_unit_test(head_closes_the_source),
        cmocka_unit_test(a_client_that_goes_is_noticed),
        cmocka_unit_test(a_client_that_ended_its_side_reads_on),
        cmocka_unit_test(no_more_is_read_than_may_wait),
        cmocka_unit_test(only_the_client_may_be_too_slow),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
