/* Fetches from a server of the test's own: what is sent, what comes back, redirects, and what goes wrong. */
#include "fetch_driver.h"

#include "fetch/private.h"

#include <errno.h>

static bool serve_redirect(int fd, const char *path)
{
    char text[1024];
    int status = 302;
    const char *to = "/ok";

    if (strncmp(path, "/redirect/", 10) == 0) { /* /redirect/STATUS/WHERE */
        status = atoi(path + 10);
        to = path + 13; /* a path, or a URL */
    } else if (strncmp(path, "/times/", 7) == 0 && atoi(path + 7) > 1) {
        snprintf(text, sizeof text,
                 "HTTP/1.1 302 Found\r\nLocation: ../times/%d\r\nContent-Length: 3\r\n\r\nabc",
                 atoi(path + 7) - 1);
        return say_text(fd, text);
    }
    if (strcmp(to, "/ftp") == 0)
        to = "ftp://127.0.0.1/";
    else if (strcmp(to, "/bad") == 0)
        to = "http://[bad/";
    else if (strcmp(to, "/space") == 0)
        to = "/echo?a b";
    snprintf(text, sizeof text, "HTTP/1.1 %d Moved\r\nlocation:  %s\r\nContent-Length: 0\r\n\r\n", status,
             to);
    return say_text(fd, text);
}

static bool serve_large(int fd, const char *path)
{
    char text[128], block[4096];
    long left = atol(path + 7);

    memset(block, 'x', sizeof block);
    if (path[1] == 'l') { /* /large/BYTES: announced; /Large/ is not */
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n", left);
        say_text(fd, text);
    } else {
        say_text(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    }
    for (long n; left > 0; left -= n) {
        n = left < (long)sizeof block ? left : (long)sizeof block;
        if (!say(fd, block, (size_t)n))
            return false;
    }
    return path[1] == 'l';
}

static _Atomic int n_dead; /* requests that were read and not answered */

static bool serve(int fd, const char *path, const char *request)
{
    char text[4096];

    if (strncmp(path, "/wait/", 6) == 0) { /* /wait/STATUSWHERE */
        gate_pass(&answers);
        snprintf(text, sizeof text, "HTTP/1.1 %.3s Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
                 path + 6, path + 9);
        return say_text(fd, text);
    }

    if (strcmp(path, "/ok") == 0)
        return say_text(fd, "HTTP/1.1 200 Fine\r\nX-One: 1\r\nx-one: 2\r\nContent-Length: 2\r\n\r\nhi");
    if (strncmp(path, "/echo", 5) == 0) {
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(request));
        return say_text(fd, text) && say_text(fd, request);
    }
    if (strcmp(path, "/chunked") == 0)
        return say_text(fd,
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n"
                        "Trailer: x\r\n\r\n");
    if (strcmp(path, "/interim") == 0)
        return say_text(fd, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Made\r\nContent-Length: "
                            "1\r\n\r\nx");
    if (strcmp(path, "/empty") == 0)
        return say_text(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    if (strcmp(path, "/head") == 0)
        return say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 123456789\r\n\r\n");
    if (strncmp(path, "/redirect/", 10) == 0 || strncmp(path, "/times/", 7) == 0)
        return serve_redirect(fd, path);
    if (strncasecmp(path, "/large/", 7) == 0)
        return serve_large(fd, path);
    if (strncmp(path, "/dead/", 6) ==
        0) { /* /dead/N: of each N requests on a connection the last finds it dead */
        static _Thread_local int n;
        if (++n < atoi(path + 6))
            return say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        n_dead++;
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
        return false;
    }
    if (strcmp(path, "/bye") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        return false;
    }
    if (strcmp(path, "/early") == 0)
        say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    else if (strcmp(path, "/garbage") == 0)
        say_text(fd, "this is no HTTP at all\r\n\r\n");
    else if (strcmp(path, "/headers") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 100000 && say_text(fd, "X-Header: 0123456789012345678901234567890123456789\r\n");
             i++)
            continue;
    } else if (strcmp(path, "/gate") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
        gate_pass(&answers);
        return say_text(fd, "def");
    } else if (strcmp(path, "/silent") == 0) {
        gate_pass(&answers);
    } else if (strcmp(path, "/swallow") == 0) {
        say_text(fd, "HTTP/1.1 302 Found\r\nLocation: /ok\r\n\r\n");
        while (say_text(fd, "0123456789012345678901234567890123456789"))
            continue;
    }
    return false;
}

/* ---- connections that were kept and are closed ---- */

/* The server resets a connection when it has read the second request on it. */
static void one_that_was_kept_and_is_reset(void **state)
{
    (void)state;
    struct world *world = world_begin();

    n_dead = 0;
    for (int i = 0; i < 20; i++)
        expect(world, get_of(world, "/dead/2"), "200 hi");
    assert_int_equal(n_dead, 19); /* and each was sent again, on a connection of its own */
    for (int i = 0; i < 500;
         i++) /* it closes each behind its answer, which is seen before the next request or not */
        expect(world, get_of(world, "/bye"), "200 hi");
    world_end(world);
}

static void what_may_have_been_done_is_not_sent_again(void **state)
{
    (void)state;
    static const char *const once[] = {"POST", "PATCH", "PROPFIND"}, *const again[] = {"PUT", "DELETE"};

    for (size_t i = 0; i < 3; i++) {
        struct world *world = world_begin();
        n_dead = 0;
        expect(world, get_of(world, "/dead/2"), "200 hi");
        struct get *get = get_of(world, "/dead/2");
        get->options.method = once[i];
        expect(world, get, "network: the server has closed the connection without an answer, and may have");
        assert_int_equal(n_dead, 1);
        assert_int_equal(n_requests, 2);
        world_end(world);
    }
    for (size_t i = 0; i < 2; i++) {
        struct world *world = world_begin();
        expect(world, get_of(world, "/dead/2"), "200 hi");
        struct get *get = get_of(world, "/dead/2");
        get->options.method = again[i];
        expect(world, get, "200 hi");
        assert_int_equal(n_requests, 3);
        world_end(world);
    }
}

/* ---- what comes ---- */

static void answers_of_all_kinds(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *get;

    get = get_of(world, "/ok#fragment");
    get_wait(world, get);
    assert_int_equal(get->fetch.state, FETCH_COMPLETE);
    assert_string_equal(get->fetch.reason, "Fine");
    assert_non_null(strstr(get->fetch.url, "/ok"));
    assert_null(strchr(get->fetch.url, '#'));
    assert_memory_equal(get->fetch.headers.data, "X-One: 1\r\nx-one: 2\r\nContent-Length: 2\r\n", 39);
    assert_int_equal(get->fetch.headers.len, 39);
    get_end(get);
    expect(world, get_of(world, "/chunked"), "200 abcde");
    get = get_of(world, "/interim");
    get_wait(world, get);
    assert_int_equal(get->fetch.status, 201);
    assert_int_equal(get->fetch.headers.len, 19); /* those of the interim response are not among them */
    get_end(get);
    expect(world, get_of(world, "/empty"), "204 ");
    get = get_of(world, "/head");
    get->options.method = "HEAD";
    expect(world, get, "200 ");
    expect(world, get_of(world, "http://name.here:%d/ok"), "200 hi");
    assert_int_equal(n_connections, 2); /* one for each name */
    world_end(world);
}

static void what_goes_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *path, *wanted;
    } cases[] = {
        {"/early", "network: "},
        {"/garbage", "network: "},
        {"/nothing", "network: "},
        {"/headers", "too_large: the headers are too large"},
        {"http://127.0.0.1:1/", "connect: "},
        {"http://name.gone:%d/", "dns: "},
        {"https://127.0.0.1:%d/ok", "tls: "},
        {"/large/2000000", "too_large: the body is too large"},
        {"/Large/2000000", "too_large: the body is too large"},
        {"/redirect/302/ftp", "redirect: the server redirects to what is no http or https"},
        {"/redirect/302/bad", "redirect: the server redirects to what is no URL"},
        {"/times/11", "redirect: too many redirects"},
    };
    struct world *world = world_begin();

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(world, get_of(world, cases[i].path), cases[i].wanted);
    expect(world, get_of(world, "/ok"), "200 hi");
    world_end(world);
}

static void urls_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        int rc;
    } cases[] = {
        {"http://a/", 0},
        {"HTTPS://a:1/b?c#d", 0},
        {"http://a b/", -EINVAL},
        {"a", -EINVAL},
        {"", -EINVAL},
        {"/path", -EINVAL},
        {"http://", -EINVAL},
        {"http://a:99999/", -EINVAL},
        {"http://a/b c", 0},
        {"ftp://a/", -EPROTONOSUPPORT},
        {"http://[::1]/", 0},
        {"http://[::1/", -EINVAL},
        {"file:///etc/passwd", -EPROTONOSUPPORT},
        {"gopher://a/", -EPROTONOSUPPORT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (fetch_url_check(cases[i].url) != cases[i].rc)
            fail_msg("%s: %d", cases[i].url, fetch_url_check(cases[i].url));
    }
}

/* ---- what is sent ---- */

/* The request as the server got it; freed by the caller. */
static char *sent(struct world *world, struct get *get)
{
    get_wait(world, get);
    assert_int_equal(get->fetch.status, 200);
    char *text = strndup((char *)get->fetch.body.data, get->fetch.body.len);
    get_end(get);
    return text;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("%s is not in\n%s", part, text);
}

static void lacks(const char *text, const char *part)
{
    if (strcasestr(text, part))
        fail_msg("%s is in\n%s", part, text);
}

static void requests_of_all_kinds(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *get;
    char *text;

    setenv("http_proxy", "http://127.0.0.1:1/", 1); /* not asked for */
    text = sent(world, get_of(world, "/echo?a=1 2"));
    has(text, "GET /echo?a=1+2 HTTP/1.1\r\n");
    has(text, "\r\nUser-Agent: festa/");
    has(text, "\r\nAccept-Encoding: deflate, gzip");
    lacks(text, "content-type");
    lacks(text, "expect");
    free(text);
    unsetenv("http_proxy");

    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "X-OWN"};
    for (size_t i = 0; i < 5; i++) {
        char wanted[64];
        get = get_of(world, "/echo");
        get->options.method = methods[i];
        get->options.headers = SPAN("X-A: b\r\nX-Empty: \r\nUser-Agent: me\r\n");
        get->options.body = i % 2 == 0 ? bytes_copy("body\0x", 6) : NULL;
        struct bytes *body = get->options.body;
        text = sent(world, get);
        bytes_unref(body);
        snprintf(wanted, sizeof wanted, "%s /echo HTTP/1.1\r\n", methods[i]);
        assert_ptr_equal(strstr(text, wanted), text);
        has(text, "\r\nX-A: b\r\n");
        has(text, "\r\nX-Empty:");
        has(text, "\r\nUser-Agent: me\r\n");
        lacks(text, "festa");
        lacks(text, "content-type");
        if (i % 2 == 0)
            has(text, "\r\nContent-Length: 6\r\n");
        else if (i == 1)
            has(text, "\r\nContent-Length: 0\r\n");
        free(text);
    }
    world_end(world);
}

/* ---- redirects ---- */

static void redirects_are_followed(void **state)
{
    (void)state;
    struct world *world = world_begin();

    for (int status = 301; status <= 308; status++) {
        char path[64], wanted[64];
        if (status >= 304 && status <= 306)
            continue;
        snprintf(path, sizeof path, "/redirect/%d/ok", status);
        expect(world, get_of(world, path), "200 hi");
        struct get *get = get_of(world, path);
        get->options.redirect = FETCH_MANUAL;
        snprintf(wanted, sizeof wanted, "%d ", status);
        expect(world, get, wanted);
        get = get_of(world, path);
        get->options.redirect = FETCH_REFUSE;
        expect(world, get, "redirect: the server redirects");
    }
    expect(world, get_of(world, "/redirect/304/ok"), "304 ");
    expect(world, get_of(world, "/redirect/300/ok"), "300 ");
    expect(world, get_of(world, "/times/10"), "200 hi"); /* ten redirects */
    expect(world, get_of(world, "/swallow"), "200 hi");  /* its body has no end */
    struct get *get = get_of(world, "/redirect/302/space");
    get_wait(world, get);
    assert_non_null(strstr(get->fetch.url, "/echo?a+b"));
    get_end(get);
    world_end(world);
}

/* What a method becomes, and what is sent with it. */
static void redirects_change_requests(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        int status;
        const char *becomes;
        bool body;
    } cases[] = {
        {"POST", 301, "GET", false},   {"POST", 302, "GET", false}, {"POST", 303, "GET", false},
        {"POST", 307, "POST", true},   {"POST", 308, "POST", true}, {"PUT", 301, "PUT", true},
        {"PUT", 302, "PUT", true},     {"PUT", 303, "GET", false},  {"PUT", 308, "PUT", true},
        {"DELETE", 303, "GET", false}, {"X", 303, "GET", false},    {"PATCH", 302, "PATCH", true},
    };
    struct world *world = world_begin();

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[64], wanted[64];
        snprintf(path, sizeof path, "/redirect/%d/echo", cases[i].status);
        struct get *get = get_of(world, path);
        struct bytes *body = bytes_copy("the body", 8);
        get->options.method = cases[i].method;
        get->options.body = body;
        get->options.headers = SPAN("Content-Type: text/x\r\nAuthorization: secret\r\n");
        char *text = sent(world, get);
        bytes_unref(body);
        snprintf(wanted, sizeof wanted, "%s /echo HTTP/1.1\r\n", cases[i].becomes);
        if (strncmp(text, wanted, strlen(wanted)) != 0)
            fail_msg("%s %d: %s", cases[i].method, cases[i].status, text);
        has(text, "\r\nAuthorization: secret\r\n"); /* the same origin */
        if (cases[i].body) {
            has(text, "\r\n\r\nthe body");
            has(text, "\r\nContent-Type: text/x\r\n");
        } else {
            lacks(text, "the body");
            lacks(text, "content-type");
            lacks(text, "content-length");
        }
        free(text);
    }
    world_end(world);
}

static void secrets_stay_with_their_origin(void **state)
{
    (void)state;
    struct world *world = world_begin();
    char path[128];

    snprintf(path, sizeof path, "/redirect/307http://other.here:%d/echo", world->server.port);
    struct get *get = get_of(world, path);
    get->options.headers =
        SPAN("Authorization: secret\r\nCookie: secret\r\nHost: secret\r\nX-Other: kept\r\n");
    char *text = sent(world, get);
    lacks(text, "secret");
    has(text, "\r\nX-Other: kept\r\n");
    has(text, "\r\nHost: other.here:");
    free(text);
    world_end(world);
}

/* ---- private addresses ---- */

static void private_addresses_are_blocked(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "http://127.0.0.1:%d/ok",  "http://name.here:%d/ok", "http://[::1]:%d/ok",
        "http://2130706433:%d/ok", "http://0x7f.1:%d/ok",    "http://[::ffff:127.0.0.1]:%d/ok",
        "http://0:%d/ok",
    };
    struct world *world = world_begin();

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct get *get = get_of(world, urls[i]);
        get->options.public_only = true;
        expect(world, get, "blocked: the address is a private one");
    }
    assert_int_equal(n_connections, 0);
    world_end(world);
}

/* Redirects too, be it on a connection that is there already. What was allowed before the first answer is not any
 * more behind it. */
static void redirects_to_private_addresses_are_blocked(void **state)
{
    (void)state;
    static const char *const hosts[] = {"127.0.0.1", "other.here"};
    struct world *world = world_begin();

    for (size_t i = 0; i < 2; i++) {
        char path[128];
        snprintf(path, sizeof path, "/wait/302http://%s:%d/ok", hosts[i], world->server.port);
        struct get *get = get_of(world, path);
        int before = n_requests;
        gate_set(&answers, true);
        get_start(world, get);
        WAIT(world, n_requests == before + 1);
        get->fetch.transfer->public_only = true;
        gate_set(&answers, false);
        WAIT(world, is_over(get));
        assert_int_equal(get->fetch.state, FETCH_FAILED);
        assert_string_equal(fetch_error_code(get->fetch.error), "blocked");
        assert_int_equal(n_requests, before + 1);
        get_end(get);
    }
    world_end(world);
}

/* ---- time ---- */

static void what_takes_too_long(void **state)
{
    (void)state;
    struct world *world = world_begin();

    gate_set(&answers, true);
    struct get *get = get_of(world, "/silent");
    get->options.timeout_ms = 20;
    expect(world, get, "timeout: no answer within 20 ms");
    get = get_of(world, "/gate");
    get->options.timeout_ms = 100;
    expect(world, get, "timeout: "); /* the head has come, or not: machines are slow */
    get = get_of(world, "/gate");
    get->options.stream = true;
    get->options.timeout_ms = 100;
    expect(world, get, "timeout: ");
    gate_set(&answers, false);
    world_end(world);
}

/* A look-up can't be called back: the fetch is over at once, the loop goes on, and it counts until the name is
 * known. */
static void names_that_take_too_long(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct fetch_share *share = fetch_share_new();
    struct get *gets[3];

    gate_set(&lookups, true);
    for (int i = 0; i < 3; i++) {
        gets[i] = get_of(world, "http://slow.here:%d/ok");
        gets[i]->options.share = share;
        gets[i]->options.timeout_ms = i == 0 ? 20 : TEST_SECONDS * 1000;
        get_start(world, gets[i]);
    }
    WAIT(world, gate_waiting(&lookups) == 3);
    WAIT(world, is_over(gets[0]));
    assert_int_equal(gets[0]->fetch.error, FETCH_TIMEOUT);
    get_end(gets[0]);
    get_end(gets[1]);
    assert_int_equal(share->count, 3);
    assert_int_equal(gate_waiting(&lookups), 3);
    gate_set(&lookups, false);
    WAIT(world, is_over(gets[2]));
    assert_int_equal(gets[2]->fetch.state, FETCH_COMPLETE);
    get_end(gets[2]);
    WAIT(world, share->count == 0);
    assert_int_equal(n_requests, 1); /* the others did not connect */

    /* The fetcher ends without waiting. */
    gate_set(&lookups, true);
    struct get *get = get_of(world, "http://slow2.here:%d/ok");
    get->options.share = share;
    get_start(world, get);
    WAIT(world, gate_waiting(&lookups) == 1);
    get_end(get);
    assert_int_equal(share->count, 1);
    fetcher_free(world->fetcher);
    assert_int_equal(share->count, 0);
    assert_int_equal(gate_waiting(&lookups), 1);
    world->fetcher = NULL;
    fetch_share_unref(share);
    gate_set(&lookups, false);
    while (gate_waiting(&lookups) > 0)
        usleep(1000);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_was_kept_and_is_reset),
        cmocka_unit_test(what_may_have_been_done_is_not_sent_again),
        cmocka_unit_test(answers_of_all_kinds),
        cmocka_unit_test(what_goes_wrong),
        cmocka_unit_test(urls_are_checked),
        cmocka_unit_test(requests_of_all_kinds),
        cmocka_unit_test(redirects_are_followed),
        cmocka_unit_test(redirects_change_requests),
        cmocka_unit_test(secrets_stay_with_their_origin),
        cmocka_unit_test(private_addresses_are_blocked),
        cmocka_unit_test(redirects_to_private_addresses_are_blocked),
        cmocka_unit_test(what_takes_too_long),
        cmocka_unit_test(names_that_take_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
