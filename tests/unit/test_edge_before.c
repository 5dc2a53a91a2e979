/* edge: hooks that are asked before a room, while the connection waits. */
#include "edge_ws_driver.h"

static enum act hooks_wait(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    (void)room;
    return event->kind == EVENT_HOOK ? ACT_WAIT : ACT_DONE;
}

/* What the subpath says: /deny is answered, /fail is not, /to/… goes there; /changed: with other headers, which are
 * another allocation. */
static void decide(struct room *room, struct event *event)
{
    struct hook_call *call = event->handle;
    struct http_request *asked = event->request;
    if (memmem(asked->path.ptr, asked->path.len, "/changed", 8)) {
        event->request = http_request_rewrite(asked, asked->headers, asked->n_headers);
        assert_non_null(event->request);
        http_request_free(asked);
    }
    const struct http_request *request = event->request;
    struct span path = request->path;
    const char *to = memmem(path.ptr, path.len, "/to/", 4);

    if (memmem(path.ptr, path.len, "/deny", 5)) {
        call->verdict = HOOK_ANSWER;
        respond(room, event, http_response_text(memmem(path.ptr, path.len, "403", 3) ? 403 : 401, "not you"));
    } else if (memmem(path.ptr, path.len, "/fail", 5)) {
        respond(room, event, http_response_text(500, "it failed"));
    } else if (to) {
        const char *slash = memchr(to + 4, '/', (size_t)(path.ptr + path.len - to - 4));
        call->party = strndup(to + 4, (size_t)(slash - to - 4));
        call->to = strndup(slash + 1, (size_t)(path.ptr + path.len - slash - 1));
        call->to_len = strlen(call->to);
        if (strcmp(call->to, "slash") == 0)
            call->to[0] = '/';
        call->verdict = HOOK_REDIRECT;
        call->request = event->request;
        event->request = NULL;
        respond(room, event, NULL);
    }
}

static enum act hooks_decide(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind == EVENT_HOOK)
        decide(room, event);
    return ACT_DONE;
}

static void woken_decides(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind == EVENT_HOOK)
        decide(room, event);
}

static struct world *before_world(enum act (*handler)(struct world *, struct room *, struct event *))
{
    struct world *world = world_new();
    memset(script_hooks, true, sizeof script_hooks);
    world->handler = handler;
    world->woken = woken_decides;
    world_open(world);
    return world;
}

static void a_request_goes_on_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *request, *answer, *said;
    } rows[] = {
        {GET("/party/r/x"), "200 GET /x ", "hook 1 /party/r/x\nGET /x\n"},
        {GET("/party/r"), "200 GET / ", "hook 1 /party/r\nGET /\n"},
        {"POST /party/r/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "200 POST /x abc",
         "hook 1 /party/r/x\nPOST /x\n"},
        {GET("/party/r/deny"), "401 not you", "hook 1 /party/r/deny\n"},
        {"HEAD /party/r/deny HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD", "hook 1 /party/r/deny\n"},
        {GET("/party/r/fail"), "500 it failed", "hook 1 /party/r/fail\n"},
        {GET("/party/r/to/chat/other"), "200 GET /to/chat/other ",
         "hook 1 /party/r/to/chat/other\nGET /to/chat/other\n"},
        {GET("/party/r/to/nope/other"), "404 Party nope not found", "hook 1 /party/r/to/nope/other\n"},
        {GET("/party/r/to//other"), "404 Party  not found", "hook 1 /party/r/to//other\n"},
        {GET("/party/r/to/chat/"), "500 Internal error (reference *", "hook 1 /party/r/to/chat/\n"},
        {GET("/party/r/to/chat/slash"), "500 Internal error (reference *", "hook 1 /party/r/to/chat/slash\n"},
        {GET("/party/r/changed/to/chat/slash"), "500 Internal error (reference *",
         "hook 1 /party/r/changed/to/chat/slash\n"},
        {GET("/party/r/changed/to/main/r"), "200 GET /changed/to/main/r ",
         "hook 1 /party/r/changed/to/main/r\nGET /changed/to/main/r\n"},
        /* known without the party: it is not asked */
        {GET("/party/%2f"), "400 The room id has a slash", ""},
        {GET("/parties/nope/r"), "404 Party nope not found", ""},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "204 ", ""},
        /* no room's */
        {GET("/page"), "404 Not found", "hook 2 /page\n"},
        {GET("/page/deny"), "401 not you", "hook 2 /page/deny\n"},
        {"POST /page/deny403 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "403 not you",
         "hook 2 /page/deny403\n"},
    };
    struct world *world = before_world(hooks_decide);
    struct client client = client_open(world, false);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client_send(world, &client, rows[i].request);
        if (strcmp(rows[i].answer, "HEAD") == 0) {
            const char *head = next_head(world, &client);
            assert_memory_equal(head, "HTTP/1.1 401 ", 13);
        } else {
            expect_answer(world, &client, rows[i].answer);
        }
        if (!said(world, rows[i].said))
            fail_msg("%s: %.*s", rows[i].request, (int)world->log.len, (char *)world->log.data);
    }
    assert_int_equal(world->rooms.n_rooms, 3); /* r, other, and the lobby */
    assert_int_equal(world->counters.rooms_started, 2);
    client_close(&client);
    world_close(world);
}

static void refused_requests_make_no_room(void **state)
{
    (void)state;
    struct world *world = before_world(hooks_decide);
    char request[512];

    world->quiet = true;
    for (int i = 0; i < 300; i++) {
        struct client client = client_open(world, false);
        snprintf(request, sizeof request, i % 2 ? GET("/party/r%d/deny") : UPGRADE("/party/r%d/deny", ""), i);
        client_send(world, &client, request);
        expect_answer(world, &client, i % 2 ? "401 not you" : "401 close not you");
        client_close(&client);
    }
    assert_int_equal(world->rooms.n_rooms, 1);
    assert_int_equal(world->counters.rooms_started, 0);
    assert_int_equal(world->counters.sockets_refused, 150);
    world_close(world);
}

/* While one waits, the rest of a pipeline does too. */
static void pipelines_keep_their_order(void **state)
{
    (void)state;
    struct world *world = before_world(hooks_wait);
    struct client client = client_open(world, false), other = client_open(world, false);

    client_send(world, &client, GET("/party/r/1") GET("/party/s/deny") GET("/party/r/3"));
    WAIT_SAID(world, "hook 1 /party/r/1\n");
    client_send(world, &other, GET("/party/r/4")); /* which others need not wait for */
    WAIT_SAID(world, "hook 1 /party/r/4\n");
    wake(world);
    expect_answer(world, &client, "200 GET /1 ");
    WAIT_SAID(world, "GET /1\nhook 1 /party/s/deny\n");
    wake(world);
    expect_answer(world, &other, "200 GET /4 ");
    wake(world);
    expect_answer(world, &client, "401 not you");
    WAIT_SAID(world, "GET /4\nhook 1 /party/r/3\n");
    wake(world);
    expect_answer(world, &client, "200 GET /3 ");
    client_close(&client);
    client_close(&other);
    world_close(world);
}

static void an_upgrade_waits(void **state)
{
    (void)state;
    struct world *world = before_world(hooks_wait);
    struct client client = client_open(world, false);
    uint8_t mask_free[] = {0x81, 0x82, 0, 0, 0, 0, 'h', 'i'};

    client_send(world, &client, UPGRADE("/party/r/x?_pk=anna", ""));
    client_send_bytes(world, &client, mask_free, sizeof mask_free); /* what comes behind it is kept */
    WAIT_SAID(world, "hook 0 /party/r/x\n");
    for (int i = 0; i < 3; i++)
        loop_step(&world->loop);
    assert_false(client_read(&client, SIZE_MAX));
    assert_int_equal(client.in.len, 0);
    wake(world);
    client_await(world, &client, sizeof ACCEPTED - 1);
    assert_memory_equal(client.in.data, ACCEPTED, sizeof ACCEPTED - 1);
    WAIT_SAID(world, "connect anna /x\ntext anna hi\n");
    client_close(&client);
    WAIT_SAID(world, "close anna 1006 unclean\n");
    world_close(world);
}

/* Before the hook is asked, all is checked that is wrong without it. */
static void handshakes_are_checked_before(void **state)
{
    (void)state;
    static const struct {
        const char *request, *answer;
    } rows[] = {
        {"GET /party/r HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\n\r\n",
         "400 close An upgrade to WebSocket needs one Sec-WebSocket-Key of 16 bytes in base64"},
        {UPGRADE("/party/r", "Origin: https://other.example\r\n"),
         "403 close Pages of this origin may not connect (see allowedOrigins)"},
        {UPGRADE("/party/r?_pk=%ff", ""), "400 close _pk is an id of up to 256 bytes of UTF-8"},
        {UPGRADE("/parties/nope/r", ""), "404 close Party nope not found"},
        {UPGRADE("/page", ""), "404 close Not found"},
    };
    struct world *world = before_world(hooks_decide);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client client = client_open(world, false);
        client_send(world, &client, rows[i].request);
        expect_answer(world, &client, rows[i].answer);
        expect_end(world, &client);
        client_close(&client);
    }
    assert_true(said(world, ""));
    assert_int_equal(world->rooms.n_rooms, 0);
    world_close(world);
}

static void an_upgrade_that_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path, *answer;
    } rows[] = {
        {UPGRADE("/party/r/deny", ""), "401 close not you"},
        {UPGRADE("/party/r/deny403", ""), "403 close not you"},
        {UPGRADE("/party/r/fail", ""), "500 close it failed"},
        {UPGRADE("/party/r/to/nope/x", ""), "404 close Party nope not found"},
        {UPGRADE("/party/r/to/main/", ""), "500 close Internal error (reference *"},
    };
    for (int later = 0; later < 2; later++) {
        struct world *world = before_world(later ? hooks_wait : hooks_decide);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct client client = client_open(world, false);
            client_send(world, &client, rows[i].path);
            if (later) {
                WAIT(world, !list_empty(&world->tasks));
                wake(world);
            }
            expect_answer(world, &client, rows[i].answer);
            expect_end(world, &client);
            client_close(&client);
        }
        assert_int_equal(world->counters.sockets_refused, sizeof rows / sizeof *rows);
        assert_int_equal(world->counters.rooms_started, 0);
        world->log.len = 0;
        world_close(world);
    }
}

/* rejectWithClose: browsers see no status, but codes. */
static void refusing_by_a_close(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        struct world *world = before_world(later ? hooks_wait : hooks_decide);
        world->config.reject_with_close = true;
        world->quiet = true;
        for (int i = 0; i < 4; i++) {
            static const char *const requests[] = {UPGRADE("/party/r/deny", ""),
                                                   UPGRADE("/party/r/deny403", ""),
                                                   UPGRADE("/party/r/fail", ""),
                                                   UPGRADE("/party/r/to/nope/x", "")};
            struct client client = client_open(world, false);
            client_send(world, &client, requests[i]);
            if (later) {
                WAIT(world, !list_empty(&world->tasks));
                wake(world);
            }
            if (i < 2) {
                client_await(world, &client, sizeof ACCEPTED - 1);
                assert_memory_equal(client.in.data, ACCEPTED, sizeof ACCEPTED - 1);
                buf_consume(&client.in, sizeof ACCEPTED - 1);
                assert_string_equal(next_frame(world, &client),
                                    i == 0 ? "close 4401 not you" : "close 4403 not you");
                client_close_frame(world, &client, 4401, "");
            } else { /* it was not the hook that refused */
                expect_answer(world, &client,
                              i == 2 ? "500 close it failed" : "404 close Party nope not found");
            }
            expect_end(world, &client);
            client_close(&client);
        }
        assert_int_equal(world->counters.rooms_started, 0);
        assert_int_equal(world->counters.sockets_refused, 4);
        assert_int_equal(world->counters.sockets_opened, 0);
        world_close(world);
    }
}

/* A client that does not wait for it. */
static void clients_that_leave(void **state)
{
    (void)state;
    static const char *const requests[] = {GET("/party/r/1"),
                                           GET("/party/r/deny"),
                                           UPGRADE("/party/r/1", ""),
                                           UPGRADE("/party/r/deny", ""),
                                           UPGRADE("/party/r/to/chat/s", ""),
                                           GET("/page"),
                                           GET("/page/deny")};
    for (int close = 0; close < 2; close++) {
        struct world *world = before_world(hooks_wait);
        world->config.reject_with_close = close;
        world->quiet = true;
        for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
            struct client client = client_open(world, false);
            client_send(world, &client, requests[i]);
            WAIT(world, !list_empty(&world->tasks));
            if (i % 2)
                client_reset(&client);
            else
                client_close(&client);
            for (int n = 0; n < 3; n++)
                loop_step(&world->loop);
            wake(world);
        }
        WAIT(world, world->net.n_conns == 0);
        world_close(world);
    }
}

/* Of those who have left during the hook no room hears; of one who has only no more to ask it does. */
static void rooms_are_not_made_for_who_has_left(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        bool reset, reaches;
    } rows[] = {
        {GET("/party/r/1"), true, false},
        {GET("/party/r/to/chat/s"), true, false},
        {GET("/party/r/1") GET("/party/r/2"), true, false}, /* what follows is not read before */
        {GET("/party/r/1"), false, true},
        {UPGRADE("/party/r/1", ""), true, false},
        {UPGRADE("/party/r/1", ""), false, false},
        {UPGRADE("/party/r/1", "") "\x81\x82"
                                   "aaaahi",
         false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world *world = before_world(hooks_wait);
        world->quiet = true;
        struct client client = client_open(world, false);
        client_send(world, &client, rows[i].request);
        WAIT(world, !list_empty(&world->tasks));
        if (rows[i].reset)
            client_reset(&client);
        else
            shutdown(client.fd, SHUT_WR);
        for (int n = 0; n < 5; n++)
            loop_step(&world->loop);
        wake(world);
        if (rows[i].reaches)
            expect_answer(world, &client, "200 GET /1 ");
        WAIT(world, world->net.n_conns == 0);
        if (world->counters.rooms_started != rows[i].reaches)
            fail_msg("row %zu", i);
        if (!rows[i].reset)
            client_close(&client);
        world_close(world);
    }
}

/* The connection is reset meanwhile, as at the end of a stop. */
static void connections_that_are_reset(void **state)
{
    (void)state;
    struct world *world = before_world(hooks_wait);
    struct client clients[3];
    static const char *const requests[] = {GET("/party/r/1"), UPGRADE("/party/r/1", ""), GET("/page")};

    for (int i = 0; i < 3; i++) {
        clients[i] = client_open(world, false);
        client_send(world, &clients[i], requests[i]);
    }
    WAIT(world, world->counters.requests == 3 && !list_empty(&world->tasks) &&
                    world->tasks.next->next->next != &world->tasks);
    edge_reset_all(&world->edge);
    WAIT(world, world->net.n_conns == 0);
    for (int i = 0; i < 3; i++) {
        wake(world);
        client_close(&clients[i]);
    }
    WAIT(world, list_empty(&world->edge.http_conns));
    assert_int_equal(world->counters.rooms_started, 0); /* for nobody */
    world->log.len = 0;
    world_close(world);
}

static void the_server_stops(void **state)
{
    (void)state;
    struct world *world = before_world(hooks_wait);
    struct client client = client_open(world, false), socket = client_open(world, false);

    client_send(world, &client, GET("/party/r/deny") GET("/party/r/2"));
    client_send(world, &socket, UPGRADE("/party/r/1", ""));
    WAIT(world, world->counters.requests == 2);
    edge_stop_http(&world->edge);
    rooms_stop(&world->rooms, 100000, world_on_empty, world);
    wake(world);
    expect_answer(world, &client, "401 close not you");
    expect_end(world, &client);
    wake(world); /* its room can't be made any more */
    expect_answer(world, &socket, "503 close Service unavailable");
    WAIT(world, world->empty);
    client_close(&client);
    client_close(&socket);
    world->log.len = 0;
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_goes_on_or_not),
        cmocka_unit_test(refused_requests_make_no_room),
        cmocka_unit_test(pipelines_keep_their_order),
        cmocka_unit_test(an_upgrade_waits),
        cmocka_unit_test(handshakes_are_checked_before),
        cmocka_unit_test(an_upgrade_that_is_refused),
        cmocka_unit_test(refusing_by_a_close),
        cmocka_unit_test(clients_that_leave),
        cmocka_unit_test(rooms_are_not_made_for_who_has_left),
        cmocka_unit_test(connections_that_are_reset),
        cmocka_unit_test(the_server_stops),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
