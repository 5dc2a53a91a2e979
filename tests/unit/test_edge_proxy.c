/* What is believed of a proxy's headers, and of whose. */
#include "edge/proxy.h"

#include "edge_request.h"

struct row {
    const char *peer, *headers; /* each line ends in \r\n */
    const char *remote;
    bool secure;
};

/* Trusted are 127.0.0.0/8, ::1, 10.0.0.0/8 and 2001:db8:1::/48. */
static void assert_rows(const struct row *rows, size_t n)
{
    struct config config;

    config_init(&config);
    assert_true(config_trust(&config, "loopback") && config_trust(&config, "10.0.0.0/8") &&
                config_trust(&config, "2001:db8:1::/48"));
    for (size_t i = 0; i < n; i++) {
        char text[4096];
        snprintf(text, sizeof text, "GET /party/a HTTP/1.1\r\nHost: a\r\n%s\r\n", rows[i].headers);
        struct http_request *request = request_of(text);
        if (!request)
            fail_msg("no request with %s", rows[i].headers);
        snprintf(request->remote, sizeof request->remote, "%s", rows[i].peer);
        proxy_apply(&config, request);
        if (strcmp(request->remote, rows[i].remote) != 0 || request->secure != rows[i].secure)
            fail_msg("from %s:\n%sgives %s, %s", rows[i].peer, rows[i].headers, request->remote,
                     request->secure ? "secure" : "not secure");
        http_request_free(request);
    }
    config_fini(&config);
}
#define ASSERT_ROWS(rows) assert_rows(rows, sizeof(rows) / sizeof *(rows))

#define XFF(value) "X-Forwarded-For: " value "\r\n"
#define XFP(value) "X-Forwarded-Proto: " value "\r\n"
#define FORWARDED(value) "Forwarded: " value "\r\n"

static void others_change_nothing(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"203.0.113.9", "", "203.0.113.9", false},
        {"203.0.113.9", XFF("1.2.3.4") XFP("https"), "203.0.113.9", false},
        {"203.0.113.9", FORWARDED("for=1.2.3.4;proto=https"), "203.0.113.9", false},
        {"::2", XFF("1.2.3.4"), "::2", false},
        {"", XFF("1.2.3.4") XFP("https"), "", false}, /* the peer is not known */
        {"127.0.0.1", "", "127.0.0.1", false},
        {"127.0.0.1", "X-Forwarded-Host: evil\r\nX-Real-IP: 1.2.3.4\r\n", "127.0.0.1", false},
    };
    ASSERT_ROWS(rows);
}

static void x_forwarded_for(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"127.0.0.1", XFF("203.0.113.9"), "203.0.113.9", false},
        {"10.1.1.1", XFF("203.0.113.9"), "203.0.113.9", false},
        {"::1", XFF("2001:DB8::9"), "2001:db8::9", false},
        {"127.0.0.1", XFF("[2001:db8::9]"), "2001:db8::9", false},
        {"127.0.0.1", XFF("[2001:db8::9]:4711"), "2001:db8::9", false},
        {"127.0.0.1", XFF("203.0.113.9:4711"), "203.0.113.9", false},
        {"127.0.0.1", XFF("::ffff:203.0.113.9"), "203.0.113.9", false},
        /* what stands in front is the client's own */
        {"127.0.0.1", XFF("6.6.6.6, 203.0.113.9"), "203.0.113.9", false},
        {"127.0.0.1", XFF("6.6.6.6,203.0.113.9"), "203.0.113.9", false},
        {"127.0.0.1", XFF("nonsense, 203.0.113.9"), "203.0.113.9", false},
        {"127.0.0.1", XFF("\", 203.0.113.9"), "203.0.113.9", false},
        {"127.0.0.1", XFF("127.0.0.1, 203.0.113.9"), "203.0.113.9", false},
        {"127.0.0.1", XFF("6.6.6.6") XFF("203.0.113.9"), "203.0.113.9", false},
        {"127.0.0.1", "x-forwarded-FOR: 6.6.6.6, 7.7.7.7\r\n" XFF("203.0.113.9, 10.0.0.1"), "203.0.113.9",
         false},
        /* a chain of proxies */
        {"127.0.0.1", XFF("203.0.113.9, 10.0.0.2"), "203.0.113.9", false},
        {"127.0.0.1", XFF("203.0.113.9, 10.0.0.2, 2001:db8:1::2, 127.0.0.1"), "203.0.113.9", false},
        {"127.0.0.1", XFF("10.0.0.3, 10.0.0.2"), "10.0.0.3", false}, /* all of the house: the first */
        {"127.0.0.1", XFF("10.0.0.3") XFF("10.0.0.2"), "10.0.0.3", false},
        /* no address: the peer */
        {"127.0.0.1", XFF("unknown"), "127.0.0.1", false},
        {"127.0.0.1", XFF("203.0.113.9, unknown"), "127.0.0.1", false},
        {"127.0.0.1", XFF("unknown, 10.0.0.2"), "127.0.0.1", false},
        {"127.0.0.1", XFF("203.0.113.999"), "127.0.0.1", false},
        {"127.0.0.1", XFF("203.0.113.9:"), "127.0.0.1", false},
        {"127.0.0.1", XFF("203.0.113.9:123456"), "127.0.0.1", false},
        {"127.0.0.1", XFF("203.0.113.9:8o"), "127.0.0.1", false},
        {"127.0.0.1", XFF("[203.0.113.9]"), "127.0.0.1", false},
        {"127.0.0.1", XFF("[2001:db8::9"), "127.0.0.1", false},
        {"127.0.0.1", XFF("[2001:db8::9]x"), "127.0.0.1", false},
        {"127.0.0.1", XFF("2001:db8::9 "), "2001:db8::9", false},
        {"127.0.0.1", XFF("[]"), "127.0.0.1", false},
        {"127.0.0.1", XFF("["), "127.0.0.1", false},
        {"127.0.0.1", XFF(":80"), "127.0.0.1", false},
        {"127.0.0.1", XFF("a b"), "127.0.0.1", false},
        {"127.0.0.1", XFF("\"203.0.113.9\""), "127.0.0.1", false},
        /* empty elements are none */
        {"127.0.0.1", XFF(""), "127.0.0.1", false},
        {"127.0.0.1", XFF(", ,"), "127.0.0.1", false},
        {"127.0.0.1", XFF("203.0.113.9, ,"), "203.0.113.9", false},
    };
    ASSERT_ROWS(rows);
}

static void schemes(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"127.0.0.1", XFP("https"), "127.0.0.1", true},
        {"127.0.0.1", XFP("HTTPS"), "127.0.0.1", true},
        {"127.0.0.1", XFP("wss"), "127.0.0.1", true},
        {"127.0.0.1", XFP("http"), "127.0.0.1", false},
        {"127.0.0.1", XFP("ws"), "127.0.0.1", false},
        {"127.0.0.1", XFP("httpss"), "127.0.0.1", false},
        {"127.0.0.1", XFP(""), "127.0.0.1", false},
        {"127.0.0.1", XFP("http, https"), "127.0.0.1", true},
        {"127.0.0.1", XFP("https, http"), "127.0.0.1", false},
        {"127.0.0.1", XFP("https") XFP("http"), "127.0.0.1", false},
        {"127.0.0.1", XFP("https,"), "127.0.0.1", true},
        {"127.0.0.1", XFF("203.0.113.9") XFP("https"), "203.0.113.9", true},
        {"127.0.0.1", XFF("bad") XFP("https"), "127.0.0.1", true},
        {"127.0.0.1", XFP("http") FORWARDED("for=203.0.113.9;proto=https"), "203.0.113.9", false},
        {"127.0.0.1", XFF("203.0.113.9") FORWARDED("for=6.6.6.6;proto=https"), "203.0.113.9", false},
    };
    ASSERT_ROWS(rows);
}

static void forwarded(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"127.0.0.1", FORWARDED("for=203.0.113.9"), "203.0.113.9", false},
        {"127.0.0.1", FORWARDED("For=\"203.0.113.9\";Proto=https;by=10.0.0.1"), "203.0.113.9", true},
        {"127.0.0.1", FORWARDED("proto=\"https\";for=203.0.113.9:80"), "203.0.113.9", true},
        {"127.0.0.1", FORWARDED("for=\"[2001:db8:cafe::17]:4711\""), "2001:db8:cafe::17", false},
        {"127.0.0.1", FORWARDED("for=[2001:db8:cafe::17]:4711"), "2001:db8:cafe::17", false}, /* often so */
        {"127.0.0.1", FORWARDED("host=a;for=203.0.113.9; proto=https ;"), "203.0.113.9", true},
        {"127.0.0.1", FORWARDED("for=203.0.113.9, for=10.0.0.2;proto=http"), "203.0.113.9", false},
        {"127.0.0.1", FORWARDED("for=203.0.113.9;proto=https, for=10.0.0.2;proto=http"), "203.0.113.9", true},
        {"127.0.0.1", FORWARDED("for=203.0.113.9;proto=https") FORWARDED("for=10.0.0.2"), "203.0.113.9",
         true},
        {"127.0.0.1", FORWARDED("for=\"a,b\", for=203.0.113.9"), "203.0.113.9", false},
        /* what the client sent in front, to confuse */
        {"127.0.0.1", FORWARDED("for=6.6.6.6;x=\", for=203.0.113.9"), "203.0.113.9", false},
        {"127.0.0.1", FORWARDED("for=6.6.6.6;x=\", for=\"[2001:db8::9]\""), "2001:db8::9", false},
        {"127.0.0.1", FORWARDED("for=6.6.6.6;x=\"\\\", for=203.0.113.9"), "203.0.113.9", false},
        /* not known */
        {"127.0.0.1", FORWARDED("for=unknown;proto=https"), "127.0.0.1", true},
        {"127.0.0.1", FORWARDED("for=_hidden, for=10.0.0.2"), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("proto=https"), "127.0.0.1", true},
        {"127.0.0.1", FORWARDED("for=203.0.113.9;for=203.0.113.9"), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("for=203.0.113.9;proto=https;proto=http"), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("for = 203.0.113.9"), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("for=203.0.113.9 proto=https"), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("for=\"203.0.113.9"), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("for=\"203.0.113\\.9\""), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("for"), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("for="), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("for=\""), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("=203.0.113.9"), "127.0.0.1", false},
        {"127.0.0.1", FORWARDED("for=2001:db8::9"), "2001:db8::9", false},
        {"127.0.0.1", FORWARDED(""), "127.0.0.1", false},
        /* X-Forwarded-For wins, whatever is in it */
        {"127.0.0.1", XFF("203.0.113.9") FORWARDED("for=6.6.6.6"), "203.0.113.9", false},
        {"127.0.0.1", XFF("bad") FORWARDED("for=6.6.6.6"), "127.0.0.1", false},
        {"127.0.0.1", XFF("") FORWARDED("for=203.0.113.9"), "203.0.113.9", false},
    };
    ASSERT_ROWS(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_change_nothing),
        cmocka_unit_test(x_forwarded_for),
        cmocka_unit_test(schemes),
        cmocka_unit_test(forwarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
