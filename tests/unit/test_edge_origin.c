/* edge: whose pages may open a WebSocket, and what CORS adds. */
#include "edge/origin.h"

#include "edge_request.h"

/* May a page of this origin (NULL: none) connect to this host? */
static bool allowed(const struct config *config, const char *origin, const char *host)
{
    char text[1024];
    snprintf(text, sizeof text, "GET /party/a HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", host,
             origin ? "Origin: " : "", origin ? origin : "", origin ? "\r\n" : "");
    struct http_request *request = request_of(text);
    if (!request)
        fail_msg("no request with Host %s and Origin %s", host, origin ? origin : "-");
    bool result = origin_allowed(config, request);
    http_request_free(request);
    return result;
}

struct row {
    const char *origin, *host;
    bool want;
};

static void assert_rows(const struct config *config, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (allowed(config, rows[i].origin, rows[i].host) != rows[i].want)
            fail_msg("%s at %s: %s", rows[i].origin ? rows[i].origin : "no origin", rows[i].host,
                     rows[i].want ? "refused" : "let in");
    }
}
#define ASSERT_ROWS(config, rows) assert_rows(config, rows, sizeof(rows) / sizeof *(rows))

static void without_a_list_it_is_the_same_host(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {NULL, "festa.example", true},
        {"http://festa.example", "festa.example", true},
        {"https://festa.example", "festa.example", true}, /* behind a proxy that speaks TLS */
        {"http://festa.example:80", "festa.example", true},
        {"http://festa.example", "festa.example:80", true},
        {"https://festa.example:443", "festa.example", true},
        {"https://festa.example", "festa.example:443", true},
        {"http://festa.example:", "festa.example", true},
        {"http://festa.example:8080", "festa.example:8080", true},
        {"HTTP://FESTA.example", "festa.EXAMPLE", true},
        {"http://[::1]:8080", "[::1]:8080", true},
        {"http://[::1]", "[::1]", true},
        {"http://[::1]:80", "[::1]", true},
        {"http://127.0.0.1:1999", "127.0.0.1:1999", true},
        {"http://festa.example:8080", "festa.example", false},
        {"http://festa.example", "festa.example:8080", false},
        {"http://festa.example:80", "festa.example:8080", false},
        {"https://festa.example:80", "festa.example", false},
        {"http://festa.example:443", "festa.example", false},
        {"http://sub.festa.example", "festa.example", false},
        {"http://festa.example", "sub.festa.example", false},
        {"http://festa.example.evil", "festa.example", false},
        {"http://evilfesta.example", "festa.example", false},
        {"http://festa.example@evil.example", "festa.example", false},
        {"http://evil.example/festa.example", "festa.example", false},
        {"http://evil.example#festa.example", "festa.example", false},
        {"http://festa.example/", "festa.example", false}, /* no origin has a path */
        {"http://[::1]", "[::2]", false},
        {"http://[::1]:8080", "[::1]", false},
        {"null", "null", false},
        {"festa.example", "festa.example", false},
        {"//festa.example", "festa.example", false},
        {"ws://festa.example", "festa.example", false},
        {"file://", "festa.example", false},
        {"http://", "festa.example", false},
        {"http://", "", false},
        {"", "festa.example", false},
        {"", "", false},
    };
    ASSERT_ROWS(&(struct config){0}, rows);
}

static void with_a_list_it_is_those_of_the_list(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {NULL, "festa.example", true},
        {"https://app.example", "festa.example", true},
        {"HTTPS://App.Example", "festa.example", true},
        {"http://localhost:5173", "festa.example", true},
        {"http://festa.example", "festa.example", false}, /* not in the list */
        {"http://app.example", "festa.example", false},
        {"https://app.example:8443", "festa.example", false},
        {"https://sub.app.example", "festa.example", false},
        {"https://app.example.evil", "festa.example", false},
        {"http://localhost", "festa.example", false},
        {"null", "festa.example", false},
        {"", "festa.example", false},
    };
    struct config config = {.allowed_origins_set = true};
    string_list_add(&config.allowed_origins, "https://app.example");
    string_list_add(&config.allowed_origins, "http://localhost:5173");
    ASSERT_ROWS(&config, rows);
    string_list_fini(&config.allowed_origins);

    /* an empty list: nobody but those who send none */
    static const struct row nobody[] = {{NULL, "festa.example", true},
                                        {"http://festa.example", "festa.example", false},
                                        {"", "a", false}};
    ASSERT_ROWS(&config, nobody);
}

static void a_star_lets_everybody_in(void **state)
{
    (void)state;
    static const struct row rows[] = {{NULL, "a", true},
                                      {"http://b", "a", true},
                                      {"null", "a", true},
                                      {"file://", "a", true},
                                      {"", "a", true}};
    ASSERT_ROWS((&(struct config){.allowed_origins_set = true, .any_origin = true}), rows);
}

static void what_is_a_preflight(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool want;
    } rows[] = {
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
         true},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\norigin: http://b\r\naccess-control-request-method: PUT\r\n\r\n",
         true},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n", false},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: PUT\r\n\r\n", false},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccess-Control-Request-Method: PUT\r\n\r\n",
         false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_request *request = request_of(rows[i].text);
        assert_non_null(request);
        if (cors_is_preflight(request) != rows[i].want)
            fail_msg("%s", rows[i].text);
        http_request_free(request);
    }
}

static void what_cors_adds(void **state)
{
    (void)state;
    static const char added[] = "Access-Control-Allow-Origin: *\r\n";
    static const struct {
        const char *lines; /* NULL: none */
        bool own;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"X: y\r\n", false},
        {"Access-Control-Allow-Origin: https://own.example\r\n", true},
        {"access-control-allow-origin:x\r\n", true},
        {"X: y\r\nACCESS-CONTROL-ALLOW-ORIGIN: x\r\nZ: \r\n", true},
        {"Access-Control-Allow-Origins: x\r\n", false},
        {"X-Access-Control-Allow-Origin: x\r\n", false},
        {"X: Access-Control-Allow-Origin: x\r\n", false},
        {"Access-Control-Allow-Origi", false},
        {"Access-Control-Allow-Origin", false},
    };
    struct config config = {.cors = true};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_response response = {.status = 200};
        if (rows[i].lines) {
            response.headers = bytes_copy(rows[i].lines, strlen(rows[i].lines));
            assert_non_null(response.headers);
        }
        config.cors = true;
        struct span lines = cors_headers(&config, &response);
        if (!span_equal(lines, rows[i].own ? (struct span){NULL, 0} : SPAN(added)))
            fail_msg("%s: %.*s", rows[i].lines ? rows[i].lines : "none", (int)lines.len, lines.ptr);
        config.cors = false;
        assert_int_equal(cors_headers(&config, &response).len, 0);
        bytes_unref(response.headers);
    }
}

static void in_dev_pages_of_this_machine_are_let_in(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"http://localhost:5173", "127.0.0.1:1999", true},
        {"https://localhost", "127.0.0.1:1999", true},
        {"http://LocalHost:1", "192.0.2.7:1999", true},
        {"http://127.0.0.1:8080", "localhost:1999", true},
        {"http://[::1]:8080", "localhost:1999", true},
        {"http://192.0.2.7:1999", "192.0.2.7:1999", true}, /* the same host */
        {"http://localhost.example:5173", "localhost:1999", false},
        {"http://localhost@example.org", "localhost:1999", false},
        {"http://127.0.0.1.example", "localhost:1999", false},
        {"ftp://localhost", "localhost:1999", false},
        {"null", "localhost:1999", false},
        {"localhost", "localhost:1999", false},
        {"http://example.org", "localhost:1999", false},
    };
    struct config config = {.dev = true};
    ASSERT_ROWS(&config, rows);
    config.allowed_origins_set = true; /* besides those of the list */
    assert_true(allowed(&config, "http://localhost:5173", "x"));
    config.dev = false;
    assert_false(allowed(&config, "http://localhost:5173", "x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_list_it_is_the_same_host),
        cmocka_unit_test(with_a_list_it_is_those_of_the_list),
        cmocka_unit_test(a_star_lets_everybody_in),
        cmocka_unit_test(in_dev_pages_of_this_machine_are_let_in),
        cmocka_unit_test(what_is_a_preflight),
        cmocka_unit_test(what_cors_adds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
