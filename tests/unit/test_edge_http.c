/* edge: requests over real connections: which get to a room, and how they are answered. */
#include "edge_driver.h"

#include "http/field.h"

#include <poll.h>

/* ---- answers ---- */

static enum act check_request(struct world *world, struct room *room, struct event *event)
{
    const struct http_request *request = event->request;
    (void)world;
    if (event->kind != EVENT_REQUEST)
        return ACT_DONE;
    assert_string_equal(room->id, "a b");
    assert_true(span_equal(request->method, SPAN("POST")));
    assert_true(span_equal(request->path, SPAN("/parties/chat/a%20b/sub/x")));
    assert_true(span_equal(request->subpath, SPAN("/sub/x")));
    assert_true(span_equal(request->query, SPAN("q=1")));
    assert_true(span_equal(request->host, SPAN("festa.example:1999")));
    assert_true(span_equal(http_request_header(request, "x-own"), SPAN("yes")));
    assert_string_equal(request->remote, "127.0.0.1");
    assert_false(request->secure);
    assert_int_equal(request->body->len, 5);
    return ACT_DONE;
}

static void a_request_gets_to_its_room(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = check_request;
    world_open(world);
    struct client client = client_open(world, false);
    const char *head;

    client_send(world, &client,
                "POST /parties/chat/a%20b/sub/x?q=1 HTTP/1.1\r\nHost: festa.example:1999\r\nX-Own: yes\r\n"
                "Content-Length: 5\r\n\r\nhello");
    expect_head_of(world, &client, "200 POST /sub/x hello", &head);
    assert_true(head_says(head, "Content-Length", "17"));
    assert_true(head_says(head, "Content-Type", "text/plain;charset=UTF-8"));
    assert_true(head_says(head, "Access-Control-Allow-Origin", NULL));
    WAIT_SAID(world, "POST /sub/x\n");
    assert_int_equal(world->counters.requests, 1);
    client_close(&client);
    world_close(world);
}

static void paths_and_their_answers(void **state)
{
    (void)state;
    static const struct {
        const char *request, *answer;
    } rows[] = {
        {GET("/party/r"), "200 GET / "},
        {GET("/party/r/"), "200 GET / "},
        {GET("/parties/main/r/x/y?z"), "200 GET /x/y "},
        {"GET http://other.example/party/r/x HTTP/1.1\r\nHost: a\r\n\r\n", "200 GET /x "},
        {GET("/"), "404 Not found"},
        {GET("/index.html"), "404 Not found"},
        {GET("/party/"), "404 Not found"},
        {GET("/parties/chat"), "404 Not found"},
        {GET("/parties/nope/r"), "404 Party nope not found"},
        {GET("/parties/nope/%zz"), "404 Party nope not found"},
        {GET("/parties/NOPE%20%25s/r"), "404 Party NOPE%20%25s not found"},
        {GET("/party/%2F"), "400 The room id has a slash"},
        {GET("/party/%zz"), "400 The room id has a % that is not followed by two hex digits"},
        {GET("/party/%ff"), "400 The room id is not valid UTF-8"},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "204 "},
        {"OPTIONS /party/r HTTP/1.1\r\nHost: a\r\n\r\n", "200 OPTIONS / "},
        {"DELETE /party/r HTTP/1.1\r\nHost: a\r\n\r\n", "200 DELETE / "},
    };
    struct world *world = world_new();
    world_open(world);
    struct client client = client_open(world, false);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) { /* all on one connection */
        client_send(world, &client, rows[i].request);
        expect_answer(world, &client, rows[i].answer);
    }
    assert_int_equal(world->counters.requests, sizeof rows / sizeof *rows);
    assert_string_equal(the_room(world)->id, "r");
    client_close(&client);
    world_close(world);
}

/* A name that is longer than what is said about it. */
static void a_long_name_is_cut(void **state)
{
    (void)state;
    struct world *world = world_new();
    world_open(world);
    struct client client = client_open(world, false);
    struct buf request = {0};

    assert_int_equal(buf_printf(&request, "GET /parties/%02000d/r HTTP/1.1\r\nHost: a\r\n\r\n", 1), 0);
    client_send_bytes(world, &client, request.data, request.len);
    buf_fini(&request);
    const char *head = next_head(world, &client);
    assert_memory_equal(head, "HTTP/1.1 404 ", 13);
    assert_true(head_says(head, "Content-Length", "511"));
    client_close(&client);
    world_close(world);
}

static enum act answer_in_many_ways(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind != EVENT_REQUEST)
        return ACT_DONE;
    struct span path = event->request->subpath;
    if (span_equal(path, SPAN("/none")))
        respond(room, event, NULL); /* there was no memory for one */
    else if (span_equal(path, SPAN("/empty")))
        respond(room, event, http_response_new(200));
    else if (span_equal(path, SPAN("/204")))
        respond(room, event, http_response_new(204));
    else if (span_equal(path, SPAN("/fail")))
        return ACT_FAIL;
    else if (span_equal(path, SPAN("/16384")))
        respond_sized(room, event, 'x', 16384);
    else if (span_equal(path, SPAN("/16385")))
        respond_sized(room, event, 'y', 16385);
    else if (span_equal(path, SPAN("/3000000")))
        respond_sized(room, event, 'z', 3000000);
    return ACT_DONE;
}

static void answers_of_all_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        char c;
        size_t size;
    } sized[] = {{"/16384", 'x', 16384}, {"/16385", 'y', 16385}, {"/3000000", 'z', 3000000}};
    struct world *world = world_new();
    world->handler = answer_in_many_ways;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client,
                GET("/party/r/none") GET("/party/r/empty") GET("/party/r/204") GET("/party/r/fail"));
    expect_answer(world, &client, "503 ");
    expect_answer(world, &client, "200 ");
    expect_answer(world, &client, "204 ");
    expect_answer(world, &client, "500 Internal error");
    for (int head = 0; head < 2; head++) { /* GET, and HEAD: the same without a body */
        for (size_t i = 0; i < sizeof sized / sizeof *sized; i++) {
            char text[256];
            snprintf(text, sizeof text, "%s /party/r%s HTTP/1.1\r\nHost: a\r\n\r\n", head ? "HEAD" : "GET",
                     sized[i].path);
            client_send(world, &client, text);
            const char *answer = next_head(world, &client);
            assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
            assert_true(head_says(answer, "Content-Length", sized[i].path + 1));
            if (head)
                continue;
            client_await(world, &client, sized[i].size);
            for (size_t at = 0; at < sized[i].size; at++)
                assert_int_equal(client.in.data[at], sized[i].c);
            buf_consume(&client.in, sized[i].size);
        }
    }
    client_send(world, &client, GET("/party/r"));
    expect_answer(world, &client, "200 GET / ");
    client_close(&client);
    world_close(world);
}

static void a_room_that_cannot_start(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->no_vm = true;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, GET("/party/r"));
    expect_answer(world, &client, "500 Internal error");
    world->no_vm = false; /* the next event tries again */
    client_send(world, &client, GET("/party/r"));
    expect_answer(world, &client, "200 GET / ");
    client_close(&client);
    world_close(world);
}

/* ---- when a connection goes on ---- */

static void keep_alive(void **state)
{
    (void)state;
    static const struct {
        const char *request, *answer;
        bool ends;
    } rows[] = {
        {"GET /party/r HTTP/1.1\r\nHost: a\r\n\r\n", "200 GET / ", false},
        {"GET /party/r HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "200 GET / ", false},
        {"GET /party/r HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 close GET / ", true},
        {"GET /party/r HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n", "200 close GET / ", true},
        {"GET /party/r HTTP/1.0\r\n\r\n", "200 close GET / ", true},
        {"GET /party/r HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "200 keep-alive GET / ", false},
        {"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "404 close Not found", true},
        {"GET /nothing HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "404 keep-alive Not found", false},
        {"GET /party/r HTTP/1.1\r\n\r\n", "400 close ", true},
        {"FOO /party/r HTTP/1.1\r\nHost: a\r\n\r\n", "501 close ", true},
        {"GET /party/r HTTP/3.0\r\nHost: a\r\n\r\n", "505 close ", true},
        {"garbage\r\n\r\n", "400 close ", true},
    };
    struct world *world = world_new();
    world_open(world);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client client = client_open(world, false);
        client_send(world, &client, rows[i].request);
        if (strchr(rows[i].answer + 10, ' ') || rows[i].answer[0] == '2') {
            expect_answer(world, &client, rows[i].answer);
        } else { /* the parser's own texts */
            const char *head = next_head(world, &client);
            assert_memory_equal(head + 9, rows[i].answer, 3);
            assert_true(head_says(head, "Connection", "close"));
            client_await(world, &client, 1);
            WAIT(world, client_read(&client, SIZE_MAX));
            client.in.len = 0;
        }
        if (rows[i].ends) {
            expect_end(world, &client);
            assert_true(client.ended); /* in order */
        } else {
            client_send(world, &client, GET("/party/r/again"));
            expect_answer(world, &client, "200 GET /again ");
        }
        client_close(&client);
    }
    assert_int_equal(world->counters.requests_refused, 4);
    world_close(world);
}

/* A HEAD is answered without a body; what follows on the connection is not. */
static void head_requests(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->config.limits.body_timeout = 50;
    world_open(world);
    struct client client = client_open(world, false);
    static const char request[] =
        "HEAD /party/r HTTP/1.1\r\nHost: a\r\n\r\n"
        "HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n" GET(
            "/party/r") "HEAD /party/r HTTP/1.1\r\nHost: a\r\n\r\n"
                        "POST /party/r HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";

    client_send(world, &client, request);
    const char *head = next_head(world, &client);
    assert_memory_equal(head, "HTTP/1.1 200 ", 13);
    assert_true(head_says(head, "Content-Length", "7"));
    head = next_head(world, &client);
    assert_memory_equal(head, "HTTP/1.1 404 ", 13);
    assert_true(head_says(head, "Content-Length", "9"));
    expect_answer(world, &client, "200 GET / ");
    head = next_head(world, &client);
    assert_memory_equal(head, "HTTP/1.1 200 ", 13);
    expect_answer(world, &client, "408 close The request's body did not come in time");
    expect_end(world, &client);
    client_close(&client);
    world_close(world);
}

/* ---- pipelining ---- */

static void answers_come_in_the_order_of_the_requests(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = wait_for_requests;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client,
                GET("/party/r/1") GET("/party/r/wait/2") GET("/party/s/3") GET("/nothing")
                    GET("/party/r/wait/5") GET("/party/r/6"));
    expect_answer(world, &client, "200 GET /1 ");
    WAIT_SAID(world, "GET /1\nGET /wait/2\n");
    for (int i = 0; i < 20; i++)
        loop_step(&world->loop);
    assert_true(
        said(world, "")); /* the third waits for the second's answer, though its room has nothing to do */
    assert_int_equal(client.in.len, 0);
    wake(world);
    expect_answer(world, &client, "200 GET /wait/2 ");
    expect_answer(world, &client, "200 GET /3 ");
    expect_answer(world, &client, "404 Not found");
    WAIT_SAID(world, "GET /3\nGET /wait/5\n");
    wake(world);
    expect_answer(world, &client, "200 GET /wait/5 ");
    expect_answer(world, &client, "200 GET /6 ");
    client_close(&client);
    world_close(world);
}

/* However they are cut into packets. */
static void many_requests_in_any_pieces(void **state)
{
    (void)state;
    enum { REQUESTS = 60 };
    struct world *world = world_new();
    world->handler = wait_for_requests;
    world->quiet = true;
    world_open(world);
    for (size_t piece = 1; piece < 400; piece = piece * 3 + 1) {
        struct client client = client_open(world, false);
        struct buf text = {0};
        int answered = 0;
        for (int i = 0; i < REQUESTS; i++)
            assert_int_equal(
                buf_printf(&text, "POST /party/r/%s/%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%.*s",
                           i % 7 == 3 ? "wait" : "now", i, i % 10, i % 10, "0123456789"),
                0);
        for (size_t at = 0; at < text.len; at += piece) {
            client_send_bytes(world, &client, text.data + at, text.len - at < piece ? text.len - at : piece);
            loop_step(&world->loop);
            if (!list_empty(&world->tasks))
                wake(world);
        }
        while (answered < REQUESTS) {
            char want[128];
            int i = answered++;
            snprintf(want, sizeof want, "200 POST /%s/%d %.*s", i % 7 == 3 ? "wait" : "now", i, i % 10,
                     "0123456789");
            WAIT(world, (client_read(&client, SIZE_MAX), client.in.len > 0 || !list_empty(&world->tasks)));
            if (!list_empty(&world->tasks))
                wake(world);
            expect_answer(world, &client, want);
        }
        buf_fini(&text);
        client_close(&client);
    }
    world_close(world);
}

static void good_answers_go_out_before_a_refusal(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = wait_for_requests;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, GET("/party/r/1") GET("/party/r/wait") "nonsense\r\n\r\n" GET("/party/r/3"));
    expect_answer(world, &client, "200 GET /1 ");
    for (int i = 0; i < 20; i++)
        loop_step(&world->loop);
    wake(world);
    expect_answer(world, &client, "200 GET /wait ");
    assert_memory_equal(next_head(world, &client), "HTTP/1.1 400 ", 13);
    WAIT_SAID(world, "GET /1\nGET /wait\n");
    client_close(&client);
    world_close(world);
}

static void nothing_follows_the_last_answer(void **state)
{
    (void)state;
    struct world *world = world_new();
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client,
                "GET /party/r/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET(
                    "/party/r/2") "\xff\xff");
    expect_answer(world, &client, "200 close GET /1 ");
    expect_end(world, &client);
    assert_true(client.ended);
    assert_true(said(world, "GET /1\n"));
    client_close(&client);
    world_close(world);
}

/* ---- Expect: 100-continue ---- */

static void continue_is_said_where_it_is_waited_for(void **state)
{
    (void)state;
#define POST(length)                                                                                         \
    "POST /party/r HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: " length "\r\n\r\n"
    struct world *world = world_new();
    world->config.limits.body = 100;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client, POST("5"));
    assert_string_equal(next_head(world, &client), "HTTP/1.1 100 Continue\r\n\r\n");
    client_send(world, &client, "hello");
    expect_answer(world, &client, "200 POST / hello");
    client_send(world, &client, POST("5") "h"); /* the body is on its way already */
    for (int i = 0; i < 20; i++)
        loop_step(&world->loop);
    client_send(world, &client, "ello");
    expect_answer(world, &client, "200 POST / hello");
    client_send(world, &client, POST("0")); /* there is none */
    expect_answer(world, &client, "200 POST / ");
    client_send(world, &client, POST("101"));
    const char *head = next_head(world, &client); /* refused at once */
    assert_memory_equal(head, "HTTP/1.1 413 ", 13);
    assert_true(head_says(head, "Connection", "close"));
    client_close(&client);
    world_close(world);
#undef POST
}

/* ---- CORS ---- */

static enum act answer_with_own_origin(struct world *world, struct room *room, struct event *event)
{
    (void)world;
    if (event->kind != EVENT_REQUEST || !span_equal(event->request->subpath, SPAN("/own")))
        return ACT_DONE;
    static const char line[] = "Access-Control-Allow-Origin: https://own.example\r\n";
    struct http_response *response = http_response_text(200, "own");
    response->headers = bytes_copy(line, sizeof line - 1);
    respond(room, event, response);
    return ACT_DONE;
}

static void cors_is_added_to_everything(void **state)
{
    (void)state;
#define PREFLIGHT(path)                                                                                      \
    "OPTIONS " path " HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccess-Control-Request-Method: PUT\r\n\r\n"
    static const struct {
        const char *request, *answer, *origin;
        bool preflight;
    } rows[] = {
        {GET("/party/r"), "200 GET / ", "*", false},
        {GET("/party/r/own"), "200 own", "https://own.example", false},
        {GET("/nothing"), "404 Not found", "*", false},
        {GET("/party/%2f"), "400 The room id has a slash", "*", false},
        {PREFLIGHT("/party/r"), "204 ", "*", true},
        {PREFLIGHT("/parties/nope/r"), "204 ", "*", true},
        {PREFLIGHT("/nothing"), "204 ", "*", true},
        {"OPTIONS /party/r HTTP/1.1\r\nHost: a\r\n\r\n", "200 OPTIONS / ", "*", false},
        {"GET /party/r HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
         "400 close An upgrade to WebSocket needs one Sec-WebSocket-Key of 16 bytes in base64", "*", false},
    };
    struct world *world = world_new();
    world->config.cors = true;
    world->config.limits.header_timeout = 500;
    world->handler = answer_with_own_origin;
    world_open(world);
    struct client client = client_open(world, false);
    const char *head;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client_send(world, &client, rows[i].request);
        expect_head_of(world, &client, rows[i].answer, &head);
        assert_true(head_says(head, "Access-Control-Allow-Origin", rows[i].origin));
        assert_ptr_equal(strcasestr(strcasestr(head, "allow-origin") + 1, "allow-origin"), NULL); /* once */
        assert_true((strstr(head, "\r\nAccess-Control-Allow-Methods: ") != NULL) == rows[i].preflight);
        assert_true((strstr(head, "\r\nAccess-Control-Allow-Headers: ") != NULL) == rows[i].preflight);
        assert_true((strstr(head, "\r\nAccess-Control-Max-Age: ") != NULL) == rows[i].preflight);
    }
    client_close(&client);
    client = client_open(world, false);
    client_send(world, &client, "GET / HT"); /* 408 */
    expect_head_of(world, &client, "408 close The request's head did not come in time", &head);
    assert_true(head_says(head, "Access-Control-Allow-Origin", "*"));
    client_close(&client);
    world_close(world);
}

/* ---- the log ---- */

static void every_request_has_its_line(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    log_fini();
    assert_int_equal(log_init(fileno(file), LOG_INFO, LOG_JSON), 0);
    struct world *world = world_new();
    world->handler = wait_for_requests;
    world_open(world);
    struct client client = client_open(world, false);

    client_send(world, &client,
                GET("/party/zwei%20%C3%BC/wait?secret=1") GET("/nothing")
                    GET("/parties/nope/x") "nonsense\r\n\r\n");
    WAIT_SAID(world, "GET /wait\n");
    wake(world);
    expect_answer(world, &client, "200 GET /wait ");
    expect_answer(world, &client, "404 Not found");
    expect_answer(world, &client, "404 Party nope not found");
    WAIT(world, client_read(&client, SIZE_MAX));
    client_close(&client);
    world_close(world);
    log_fini();
    assert_int_equal(group_setup(NULL), 0);

    static const char *const want[] = {
        "\"method\":\"GET\",\"path\":\"/party/zwei%20%C3%BC/wait\",\"status\":200,\"ms\":",
        "\"party\":\"main\",\"room\":\"zwei \xc3\xbc\"}",
        "\"method\":\"GET\",\"path\":\"/nothing\",\"status\":404,\"ms\":",
        "\"method\":\"GET\",\"path\":\"/parties/nope/x\",\"status\":404,\"ms\":",
        "\"status\":400,",
    };
    char text[8192];
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *at = text;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const char *found = strstr(at, want[i]);
        if (!found)
            fail_msg("%s is not in the log:\n%s", want[i], text);
        at = found;
    }
    unsigned lines = 0;
    for (at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 4);
}

/* ---- many requests at once ---- */

static struct world *busy_world;

/* Runs behind the edge's own: the next turn's time is used up already. */
static bool use_up(struct loop_hook *hook)
{
    (void)hook;
    busy_world->edge.answering = UINT64_MAX / 2;
    return false;
}

static void answers_in_turn(void **state)
{
    (void)state;
    struct world *world = busy_world = world_new();
    struct loop_hook hook = {.fn = use_up};
    world_open(world);
    loop_hook_add(&world->loop.late, &hook);
    struct client many = client_open(world, false), one = client_open(world, false);

    WAIT(world, world->net.n_conns == 2);
    client_send(world, &many, GET("/1") GET("/2") GET("/3"));
    client_send(world, &one, GET("/4"));
    list_each(link, &world->edge.http_conns) { /* all of it is to come in one turn */
        struct pollfd ready = {.fd = container_of(link, struct http_conn, link)->conn->fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 10000), 1);
    }
    static const unsigned answered[] = {2, 3, 4}; /* after each turn */
    for (size_t i = 0; i < sizeof answered / sizeof *answered; i++) {
        uint64_t before = world->counters.requests;
        WAIT(world, world->counters.requests > before);
        assert_int_equal(world->counters.requests, answered[i]);
    }
    loop_hook_remove(&hook);
    client_close(&many);
    client_close(&one);
    world_close(world);
}

static void what_waits_is_little(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->handler = wait_for_requests;
    world_open(world);
    struct client client = client_open(world, false);
    struct buf requests = {0};

    while (requests.len < LOOP_READ_BUFFER / 4)
        assert_int_equal(buf_append(&requests, GET("/party/r/w"), sizeof GET("/party/r/w") - 1), 0);
    client_send_bytes(world, &client, requests.data, requests.len);
    WAIT(world, !list_empty(&world->tasks));
    assert_in_range(newest_conn(world)->conn->left->len, 1, CONN_READ_LITTLE);
    client_reset(&client);
    buf_fini(&requests);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_gets_to_its_room),
        cmocka_unit_test(paths_and_their_answers),
        cmocka_unit_test(a_long_name_is_cut),
        cmocka_unit_test(answers_of_all_kinds),
        cmocka_unit_test(a_room_that_cannot_start),
        cmocka_unit_test(keep_alive),
        cmocka_unit_test(head_requests),
        cmocka_unit_test(answers_come_in_the_order_of_the_requests),
        cmocka_unit_test(many_requests_in_any_pieces),
        cmocka_unit_test(good_answers_go_out_before_a_refusal),
        cmocka_unit_test(nothing_follows_the_last_answer),
        cmocka_unit_test(continue_is_said_where_it_is_waited_for),
        cmocka_unit_test(cors_is_added_to_everything),
        cmocka_unit_test(every_request_has_its_line),
        cmocka_unit_test(answers_in_turn),
        cmocka_unit_test(what_waits_is_little),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
