/* edge: static files over connections: which answer, and how a large one is sent, cancelled and cut. */
#include "edge_driver.h"

#include "edge/static_file.h"

#include "project_files.h"

#define LARGE (STATIC_PIECE * 16)

struct fixture {
    struct world *world;
    struct project_files files;
    int fd;
    char *large; /* the content of large.bin */
};

static void put(struct fixture *fixture, const char *name, const char *content)
{
    project_files_write(&fixture->files, name, content);
}

static void open_fixture(struct fixture *fixture)
{
    *fixture = (struct fixture){.world = world_new(), .large = malloc(LARGE)};
    assert_non_null(fixture->large);
    for (size_t i = 0; i < LARGE; i++)
        fixture->large[i] = (char)('a' + i * 7 / 5 % 23);
    project_files_init(&fixture->files);
    put(fixture, "public/index.html", "home");
    put(fixture, "public/a.txt", "0123456789");
    put(fixture, "public/empty.txt", "");
    put(fixture, "public/folder/index.html", "in a folder");
    put(fixture, "public/_festa/own.txt", "nobody's");
    project_files_write_bytes(&fixture->files, "public/large.bin", fixture->large, LARGE);
}

/* Changes to the configuration come before this. */
static struct world *serve(struct fixture *fixture)
{
    fixture->fd = open(project_files_path(&fixture->files, "public"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(fixture->fd >= 0);
    world_open(fixture->world);
    assert_int_equal(edge_serve(&fixture->world->edge, fixture->fd), 0);
    return fixture->world;
}

static void close_fixture(struct fixture *fixture)
{
    WAIT(fixture->world, fixture->world->loop.n_jobs == 0);
    world_close(fixture->world);
    close(fixture->fd);
    project_files_fini(&fixture->files);
    free(fixture->large);
}

static void ask(struct fixture *fixture, const char *request, const char *want)
{
    struct client client = client_open(fixture->world, false);
    client_send(fixture->world, &client, request);
    expect_answer(fixture->world, &client, want);
    client_close(&client);
}

/* ---- which answer ---- */

static void answers(void **state)
{
    struct fixture fixture;
    (void)state;
    open_fixture(&fixture);
    serve(&fixture);
    ask(&fixture, GET("/"), "200 home");
    ask(&fixture, GET("/index.html?x"), "200 home");
    ask(&fixture, GET("/a.txt"), "200 0123456789");
    ask(&fixture, GET("/empty.txt"), "200 ");
    ask(&fixture, GET("/folder/"), "200 in a folder");
    ask(&fixture, GET("/_festa/own.txt"), "404 Not found"); /* the server's own place */
    ask(&fixture, "DELETE /_festa/client.js HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method not allowed");
    ask(&fixture, GET("/nothing"), "404 Not found");
    ask(&fixture, GET("/nothing/"), "404 Not found");
    ask(&fixture, GET("/a.txt/"), "404 Not found");
    ask(&fixture, GET("/../a.txt"), "404 Not found");
    ask(&fixture, "POST /a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "405 Method not allowed");
    ask(&fixture, "DELETE /folder HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method not allowed");
    ask(&fixture, "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "404 Not found");
    ask(&fixture, "GET /a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\n\r\n", "206 234");
    ask(&fixture, "GET /a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=10-\r\n\r\n", "416 The file is shorter");
    ask(&fixture, "GET /a.txt HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n",
        "412 The file is another one by now");
    ask(&fixture, "GET /a.txt HTTP/1.0\r\n\r\n", "200 close 0123456789");
    ask(&fixture, "GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200 keep-alive 0123456789");
    assert_true(said(fixture.world, "")); /* no room has heard of all this */
    close_fixture(&fixture);
}

static void headers(void **state)
{
    struct fixture fixture;
    const char *head;
    char etag[80], request[256];
    (void)state;
    open_fixture(&fixture);
    fixture.world->config.cors = true;
    struct world *world = serve(&fixture);
    struct client client = client_open(world, false);

    client_send(world, &client, GET("/a.txt"));
    expect_head_of(world, &client, "200 0123456789", &head);
    assert_true(head_says(head, "Content-Type", "text/plain; charset=utf-8"));
    assert_true(head_says(head, "Cache-Control", "no-cache"));
    assert_true(head_says(head, "X-Content-Type-Options", "nosniff"));
    assert_true(head_says(head, "Accept-Ranges", "bytes"));
    assert_true(head_says(head, "Access-Control-Allow-Origin", "*"));
    assert_true(head_says(head, "Vary", NULL));
    assert_int_equal(sscanf(strstr(head, "ETag: "), "ETag: %79s", etag), 1);
    assert_memory_equal(etag, "W/\"", 3); /* just written: it may change again within its clock's tick */

    snprintf(request, sizeof request, "GET /a.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: %s\r\n\r\n", etag);
    client_send(world, &client, request);
    expect_head_of(world, &client, "304 ", &head);
    assert_non_null(strstr(head, etag));
    assert_true(head_says(head, "Cache-Control", "no-cache"));
    assert_true(head_says(head, "Content-Type", NULL) && head_says(head, "Content-Length", NULL));
    assert_true(head_says(head, "Access-Control-Allow-Origin", "*"));

    /* Old enough, it is a strong one. */
    const struct timespec times[2] = {{.tv_sec = 784111777}, {.tv_sec = 784111777, .tv_nsec = 5}};
    assert_int_equal(utimensat(AT_FDCWD, project_files_path(&fixture.files, "public/a.txt"), times, 0), 0);
    client_send(world, &client, GET("/a.txt"));
    expect_head_of(world, &client, "200 0123456789", &head);
    assert_true(head_says(head, "Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_non_null(strstr(head, "\r\nETag: \"a-"));
    client_send(world, &client,
                "GET /a.txt HTTP/1.1\r\nHost: a\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                "Range: bytes=-2\r\n\r\n");
    expect_head_of(world, &client, "206 89", &head);
    assert_true(head_says(head, "Content-Range", "bytes 8-9/10"));

    /* From the future: not modified after the response itself. */
    const struct timespec later[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
    assert_int_equal(utimensat(AT_FDCWD, project_files_path(&fixture.files, "public/a.txt"), later, 0), 0);
    client_send(world, &client, GET("/a.txt"));
    expect_head_of(world, &client, "200 0123456789", &head);
    assert_null(strstr(head, "2096"));
    assert_non_null(strstr(head, "\r\nETag: W/"));

    client_send(world, &client, "PUT /a.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_head_of(world, &client, "405 Method not allowed", &head);
    assert_true(head_says(head, "Allow", "GET, HEAD"));
    client_send(world, &client, GET("/folder?a=b&c"));
    expect_head_of(world, &client, "301 ", &head);
    assert_true(head_says(head, "Location", "/folder/?a=b&c"));
    client_send(world, &client, GET("/%66older"));
    expect_head_of(world, &client, "301 ", &head);
    assert_true(head_says(head, "Location", "/%66older/"));
    client_send(world, &client, "GET /a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=11-\r\n\r\n");
    expect_head_of(world, &client, "416 The file is shorter", &head);
    assert_true(head_says(head, "Content-Range", "bytes */10"));
    client_close(&client);
    close_fixture(&fixture);
}

static void pages(void **state)
{
#define PAGE(path) "GET " path " HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n"
    struct fixture fixture;
    const char *head;
    (void)state;
    open_fixture(&fixture);
    put(&fixture, "public/404.html", "lost");
    struct world *world = serve(&fixture);
    ask(&fixture, GET("/nothing"), "404 lost");
    ask(&fixture, GET("/.env"), "404 lost");
    ask(&fixture, PAGE("/rooms"), "404 lost");
    ask(&fixture, "POST /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404 lost");
    ask(&fixture, "GET /nothing HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\nIf-None-Match: *\r\n\r\n",
        "404 lost");
    ask(&fixture, GET("/404.html"), "200 lost");

    fixture.world->config.single_page_app = true;
    ask(&fixture, PAGE("/rooms"), "200 home");
    ask(&fixture, PAGE("/rooms/7/"), "200 home");
    ask(&fixture, PAGE("/a.txt"), "200 0123456789");
    ask(&fixture, PAGE("/b.txt"), "404 lost");
    ask(&fixture, PAGE("/a/../b"), "404 lost");
    ask(&fixture, GET("/rooms"), "404 lost");
    struct client client = client_open(world, false);
    client_send(world, &client, PAGE("/rooms"));
    expect_head_of(world, &client, "200 home", &head);
    assert_true(head_says(head, "Vary", "Accept"));
    assert_true(head_says(head, "Content-Type", "text/html; charset=utf-8"));
    assert_non_null(strstr(head, "\r\nETag: "));
    client_close(&client);

    assert_int_equal(unlink(project_files_path(&fixture.files, "public/index.html")), 0);
    ask(&fixture, PAGE("/rooms"), "404 Not found");
    close_fixture(&fixture);
}

static void without_a_folder(void **state)
{
    struct fixture fixture;
    (void)state;
    open_fixture(&fixture);
    assert_int_equal(edge_serve(&serve(&fixture)->edge, -1), 0);
    ask(&fixture, GET("/"), "404 Not found");
    ask(&fixture, GET("/a.txt"), "404 Not found");
    ask(&fixture, "POST /a.txt HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not found");
    close_fixture(&fixture);
}

/* Another folder takes its place while a file of this one is looked up, and sent. */
static void another_folder(void **state)
{
    struct fixture fixture;
    (void)state;
    open_fixture(&fixture);
    put(&fixture, "other/index.html", "elsewhere");
    put(&fixture, "other/a.txt", "other");
    int other = open(project_files_path(&fixture.files, "other"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(other >= 0);
    struct world *world = serve(&fixture);
    struct client first = client_open(world, false);
    client_send(world, &first, GET("/a.txt"));
    WAIT(world, world->loop.n_jobs > 0);
    assert_int_equal(edge_serve(&world->edge, other), 0);
    close(other);
    expect_answer(world, &first, "200 0123456789");
    client_send(world, &first, GET("/a.txt"));
    expect_answer(world, &first, "200 other");
    assert_int_equal(edge_serve(&world->edge, -1), 0);
    client_send(world, &first, GET("/a.txt"));
    expect_answer(world, &first, "404 Not found");
    client_close(&first);
    close_fixture(&fixture);
}

/* ---- one connection ---- */

static void expect_large(struct fixture *fixture, struct client *client)
{
    const char *head = next_head(fixture->world, client);
    assert_memory_equal(head, "HTTP/1.1 200 ", 13);
    client_await(fixture->world, client, LARGE);
    assert_memory_equal(client->in.data, fixture->large, LARGE);
    buf_consume(&client->in, LARGE);
}

static void requests_behind_a_file(void **state)
{
    struct fixture fixture;
    (void)state;
    open_fixture(&fixture);
    struct world *world = serve(&fixture);
    struct client client = client_open(world, false);

    client_send(world, &client,
                GET("/large.bin") GET("/a.txt")
                    GET("/party/r/1") "HEAD /large.bin HTTP/1.1\r\nHost: a\r\n\r\n" GET("/large.bin")
                        GET("/nothing") GET("/party/r/2"));
    expect_large(&fixture, &client);
    expect_answer(world, &client, "200 0123456789");
    expect_answer(world, &client, "200 GET /1 ");
    expect_answer_at(world, &client, "200 ", true, NULL, __FILE__, __LINE__);
    expect_large(&fixture, &client);
    expect_answer(world, &client, "404 Not found");
    expect_answer(world, &client, "200 GET /2 ");

    client_send(world, &client,
                "GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/a.txt"));
    expect_large(&fixture, &client);
    expect_end(world, &client);
    client_close(&client);
    close_fixture(&fixture);
}

static void a_client_that_ended_its_side_gets_all(void **state)
{
    struct fixture fixture;
    (void)state;
    open_fixture(&fixture);
    fixture.world->sndbuf = 8192;
    struct world *world = serve(&fixture);
    struct client client = client_open(world, false);
    client_send(world, &client, GET("/large.bin"));
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    expect_large(&fixture, &client);
    expect_end(world, &client);
    client_close(&client);
    close_fixture(&fixture);
}

static struct conn *only_conn(struct world *world)
{
    assert_false(list_empty(&world->edge.http_conns));
    return container_of(world->edge.http_conns.next, struct http_conn, link)->conn;
}

/* A client with small buffers that has asked for the large file, and taken its head. */
static struct client begin_download(struct fixture *fixture)
{
    struct client client = client_open(fixture->world, true);
    client_send(fixture->world, &client, GET("/large.bin"));
    WAIT(fixture->world, (client_read(&client, 1), client.in.len > 0));
    return client;
}

static void open_small(struct fixture *fixture)
{
    open_fixture(fixture);
    fixture->world->sndbuf = 8192;
}

/* What waits for it is two pieces at most, and a room answers others meanwhile. */
static void a_slow_reader(void **state)
{
    struct fixture fixture;
    size_t most = 0;
    (void)state;
    open_small(&fixture);
    struct world *world = serve(&fixture);
    struct client slow = begin_download(&fixture);
    struct client other = client_open(world, false);

    for (unsigned turn = 0; slow.in.len < LARGE && !slow.ended; turn++) {
        client_read(&slow, 4096);
        if (turn % 16 == 0) {
            client_send(world, &other, GET("/party/r/1"));
            expect_answer(world, &other, "200 GET /1 ");
        }
        loop_step(&world->loop);
        struct conn *conn = container_of(world->edge.http_conns.next, struct http_conn, link)->conn;
        if (conn && conn_pending(conn) > most)
            most = conn_pending(conn);
    }
    assert_in_range(most, STATIC_PIECE, 2 * STATIC_PIECE + 1024);
    expect_large(&fixture, &slow);
    client_close(&slow);
    client_close(&other);
    close_fixture(&fixture);
}

static void clients_that_leave(void **state)
{
    struct fixture fixture;
    (void)state;
    open_small(&fixture);
    struct world *world = serve(&fixture);
    for (int how = 0; how < 4; how++) {
        struct client client = begin_download(&fixture);
        if (how == 0)
            client_close(&client);
        else if (how == 1)
            client_reset(&client);
        else if (how == 2)
            edge_reset_all(&world->edge);
        else
            conn_reset(only_conn(world));
        WAIT(world, world->net.n_conns == 0);
        assert_true(list_empty(&world->edge.http_conns));
        client_close(&client);
    }
    /* Before anything was found. */
    for (int i = 0; i < 20; i++) {
        struct client client = client_open(world, false);
        client_send(world, &client, i % 2 ? GET("/large.bin") : GET("/a.txt"));
        WAIT(world, world->net.n_conns == 1);
        for (int turns = 0; turns < i / 2; turns++)
            loop_step(&world->loop);
        edge_reset_all(&world->edge);
        WAIT(world, world->net.n_conns == 0 && world->loop.n_jobs == 0);
        assert_true(list_empty(&world->edge.http_conns));
        client_close(&client);
    }
    close_fixture(&fixture);
}

static void a_client_that_takes_nothing(void **state)
{
    struct fixture fixture;
    (void)state;
    open_small(&fixture);
    fixture.world->config.limits.idle_timeout = 100;
    struct world *world = serve(&fixture);
    struct client client = begin_download(&fixture);
    WAIT(world, world->net.n_conns == 0);
    assert_int_equal(world->counters.timeouts, 1);
    WAIT(world, client_read(&client, SIZE_MAX));
    assert_true(client.reset || client.in.len < LARGE);
    client_close(&client);
    close_fixture(&fixture);
}

/* It takes a little at a time, for longer than it may be idle. */
static void a_client_that_takes_little(void **state)
{
    struct fixture fixture;
    (void)state;
    open_small(&fixture);
    fixture.world->config.limits.idle_timeout = 1000;
    struct world *world = serve(&fixture);
    struct client client = begin_download(&fixture);
    uint64_t at = clock_monotonic_ns(), until = at + 3000000000u;
    while (clock_monotonic_ns() < until) {
        if (clock_monotonic_ns() - at > 50000000) {
            client_read(&client, 8192);
            at = clock_monotonic_ns();
        }
        loop_step(&world->loop);
    }
    assert_int_equal(world->counters.timeouts, 0);
    expect_large(&fixture, &client);
    expect_end(world, &client); /* idle, now */
    client_close(&client);
    close_fixture(&fixture);
}

static void a_file_that_gets_shorter(void **state)
{
    struct fixture fixture;
    (void)state;
    open_small(&fixture);
    struct world *world = serve(&fixture);
    struct client client = begin_download(&fixture);
    assert_int_equal(truncate(project_files_path(&fixture.files, "public/large.bin"), LARGE / 2), 0);
    next_head(world, &client);
    WAIT(world, client_read(&client, SIZE_MAX));
    assert_true(client.ended);
    assert_int_equal(client.in.len, LARGE / 2);
    assert_memory_equal(client.in.data, fixture.large, LARGE / 2);
    client_close(&client);
    close_fixture(&fixture);
}

static void a_file_that_is_replaced(void **state)
{
    struct fixture fixture;
    char from[PATH_MAX];
    (void)state;
    open_small(&fixture);
    struct world *world = serve(&fixture);
    struct client client = begin_download(&fixture);
    put(&fixture, "public/new", "new");
    snprintf(from, sizeof from, "%s", project_files_path(&fixture.files, "public/new"));
    assert_int_equal(rename(from, project_files_path(&fixture.files, "public/large.bin")), 0);
    client_send(world, &client, GET("/large.bin"));
    expect_large(&fixture, &client);
    expect_answer(world, &client, "200 new");
    client_close(&client);
    close_fixture(&fixture);
}

static void a_server_that_stops(void **state)
{
    struct fixture fixture;
    (void)state;
    open_small(&fixture);
    struct world *world = serve(&fixture);
    struct client client = begin_download(&fixture);
    client_send(world, &client, GET("/a.txt"));
    edge_stop_http(&world->edge);
    edge_stop_sockets(&world->edge);
    expect_large(&fixture, &client);
    expect_end(world, &client);
    assert_true(client.ended);
    client_close(&client);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(headers),
        cmocka_unit_test(pages),
        cmocka_unit_test(without_a_folder),
        cmocka_unit_test(another_folder),
        cmocka_unit_test(requests_behind_a_file),
        cmocka_unit_test(a_client_that_ended_its_side_gets_all),
        cmocka_unit_test(a_slow_reader),
        cmocka_unit_test(clients_that_leave),
        cmocka_unit_test(a_client_that_takes_nothing),
        cmocka_unit_test(a_client_that_takes_little),
        cmocka_unit_test(a_file_that_gets_shorter),
        cmocka_unit_test(a_file_that_is_replaced),
        cmocka_unit_test(a_server_that_stops),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
