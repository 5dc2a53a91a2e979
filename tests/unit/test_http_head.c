/* Heads of requests: what becomes of each, whole, byte by byte, and split at every place. */
#include "http_driver.h"

static const struct http_limits limits = {.url = 100, .headers = 300, .body = 50};

#define HOST "Host: h\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST

static void check(const char *input, const char *expected)
{
    driver_check(&limits, input, expected);
}

static void test_methods(void **state)
{
    (void)state;
    check("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / h 1.1 keep\n");
    check("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD / h 1.1 keep\n");
    check("POST / HTTP/1.1\r\nHost: h\r\n\r\n", "POST / h 1.1 keep\n");
    check("PUT / HTTP/1.1\r\nHost: h\r\n\r\n", "PUT / h 1.1 keep\n");
    check("PATCH / HTTP/1.1\r\nHost: h\r\n\r\n", "PATCH / h 1.1 keep\n");
    check("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n", "DELETE / h 1.1 keep\n");
    check("OPTIONS / HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS / h 1.1 keep\n");
    check("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * h 1.1 keep\n");
    /* Tokens that are not served, those that llhttp knows among them. */
    check("TRACE / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("CONNECT h:80 HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("PROPFIND / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("M-SEARCH * HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("PURGE / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("SOURCE / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("DESCRIBE / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("PRI / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("get / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("Get / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("GETX / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("G / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("!#$%&'*+-.^_`|~09 / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    check("A123456789B123456789C123456789DXY / HTTP/1.1\r\n" HOST "\r\n", "501\n");
    /* No tokens. */
    check("G@T / HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("G\xc3\x89T / HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check(" GET / HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("\tGET / HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET\t/ HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET(x) / HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("\"GET\" / HTTP/1.1\r\n" HOST "\r\n", "400\n");
}

static void test_request_lines(void **state)
{
    (void)state;
    check("GET / HTTP/1.1\r\n\r\n", "400\n");
    check("GET / HTTP/1.0\r\n\r\n", "GET / - 1.0 close\n");
    check("GET / HTTP/1.0\r\n" HOST "\r\n", "GET / h 1.0 close\n");
    check("GET  / HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET /  HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET / HTTP/1.1 \r\n" HOST "\r\n", "400\n");
    check("GET / a HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET /\tHTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET /\r\n", "400\n");
    check("GET\r\n", "400\n");
    check("GET /\n", "400\n");
    check("GET / \r\n", "400\n");
    check("GET HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET / HTTP/1.1\n" HOST "\r\n", "400\n");
    check("GET / HTTP/1.1\r" HOST "\r\n", "400\n");
    check("GET / HTTP/1.1\r\r\n" HOST "\r\n", "400\n");
    check("GET / http/1.1\r\n" HOST "\r\n", "400\n");
    check("GET / HTTP/11\r\n" HOST "\r\n", "400\n");
    check("GET / HTTP/1.\r\n" HOST "\r\n", "400\n");
    check("GET / HTTP/1.10\r\n" HOST "\r\n", "400\n");
    check("GET / HTTP/01.1\r\n" HOST "\r\n", "400\n");
    check("GET / HTTP/a.1\r\n" HOST "\r\n", "400\n");
    check("GET / HTTPS/1.1\r\n" HOST "\r\n", "400\n");
    check("GET / HTTP 1.1\r\n" HOST "\r\n", "400\n");
    check("GET / HTTP/1,1\r\n" HOST "\r\n", "400\n");
    check("GET / RTSP/1.0\r\n" HOST "\r\n", "400\n");
    check("SOURCE / ICE/1.0\r\n" HOST "\r\n", "400\n");
    check("GET / HTTP/0.9\r\n" HOST "\r\n", "505\n");
    check("GET / HTTP/1.2\r\n" HOST "\r\n", "505\n");
    check("GET / HTTP/2.0\r\n" HOST "\r\n", "505\n");
    check("GET / HTTP/9.9\r\n" HOST "\r\n", "505\n");
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505\n");
}

static void test_targets(void **state)
{
    (void)state;
    /* origin-form */
    check("GET /a/b?c=d&e HTTP/1.1\r\n" HOST "\r\n", "GET /a/b?c=d&e h 1.1 keep\n");
    check("GET /? HTTP/1.1\r\n" HOST "\r\n", "GET /? h 1.1 keep\n");
    check("GET /a?b?c HTTP/1.1\r\n" HOST "\r\n", "GET /a?b?c h 1.1 keep\n");
    check("GET // HTTP/1.1\r\n" HOST "\r\n", "GET // h 1.1 keep\n");
    check("GET /%zz%41 HTTP/1.1\r\n" HOST "\r\n", "GET /%zz%41 h 1.1 keep\n");
    check("GET /\"<>[\\]^`{|}!$&'()*+,;=:@~ HTTP/1.1\r\n" HOST "\r\n",
          "GET /\"<>[\\]^`{|}!$&'()*+,;=:@~ h 1.1 keep\n");
    check("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET /a\x01 HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET /a\x7f HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET /#a HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET a HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET ?a HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET \\a HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET h:80 HTTP/1.1\r\n" HOST "\r\n", "400\n");
    /* asterisk-form */
    check("GET * HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("OPTIONS ** HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("OPTIONS *? HTTP/1.1\r\n" HOST "\r\n", "400\n");
    /* absolute-form: its host wins */
    check("GET http://a.b/c?d HTTP/1.1\r\n" HOST "\r\n", "GET /c?d a.b 1.1 keep\n");
    check("GET HTTPS://a.b:443/ HTTP/1.1\r\n" HOST "\r\n", "GET / a.b:443 1.1 keep\n");
    check("GET http://a.b HTTP/1.1\r\n" HOST "\r\n", "GET / a.b 1.1 keep\n");
    check("GET http://a.b?c=/d HTTP/1.1\r\n" HOST "\r\n", "GET /?c=/d a.b 1.1 keep\n");
    check("GET http://[::1]:80/ HTTP/1.1\r\n" HOST "\r\n", "GET / [::1]:80 1.1 keep\n");
    check("OPTIONS http://a.b HTTP/1.1\r\n" HOST "\r\n", "OPTIONS / a.b 1.1 keep\n");
    check("GET http://a.b/ HTTP/1.0\r\n\r\n", "GET / a.b 1.0 close\n");
    check("GET http://a.b/ HTTP/1.1\r\n\r\n", "400\n");
    check("GET http:///c HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET http:// HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET http://:80/ HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET http://u@a.b/ HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET http://u:p@a.b/ HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET http:/a.b/ HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET http:a HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET http://a.b:x/ HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET http://a b/ HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET http://a.b\\c/ HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET ftp://a.b/ HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET ws://a.b/ HTTP/1.1\r\n" HOST "\r\n", "400\n");
    check("GET http://a.b/#c HTTP/1.1\r\n" HOST "\r\n", "400\n");
}

static void test_host(void **state)
{
    (void)state;
    check("GET / HTTP/1.1\r\nHost: a.b:80\r\n\r\n", "GET / a.b:80 1.1 keep\n");
    check("GET / HTTP/1.1\r\nhOST:\t a \t\r\n\r\n", "GET / a 1.1 keep\n");
    check("GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET /  1.1 keep\n");
    check("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "GET / [::1]:8080 1.1 keep\n");
    check("GET / HTTP/1.1\r\nX: 1\r\n" HOST "Y: 2\r\n\r\n", "GET / h 1.1 keep {X=1;Host=h;Y=2;}\n");
    check("GET / HTTP/1.1\r\nX: 1\r\n\r\n", "400\n");
    check("GET / HTTP/1.1\r\n" HOST HOST "\r\n", "400\n");
    check("GET / HTTP/1.1\r\n" HOST "X: 1\r\nHOST: i\r\n\r\n", "400\n");
    check("GET / HTTP/1.0\r\n" HOST HOST "\r\n", "400\n");
    check("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400\n");
    check("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400\n");
    check("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400\n");
    check("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "400\n");
    check("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400\n");
    check("GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", "400\n");
    check("GET / HTTP/1.1\r\nHost: a?\r\n\r\n", "400\n");
    check("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "400\n");
    check("GET http://a.b/ HTTP/1.1\r\nHost: a/b\r\n\r\n", "400\n");
}

static void test_field_lines(void **state)
{
    (void)state;
    check(GET "A: b\r\nc:d\r\nE:  f g\t \r\nEmpty:\r\nBlank:  \r\n\r\n",
          "GET / h 1.1 keep {Host=h;A=b;c=d;E=f g;Empty=;Blank=;}\n");
    check(GET "A: 1\r\nA: 2\r\n\r\n", "GET / h 1.1 keep {Host=h;A=1;A=2;}\n");
    check(GET "A: b:c\r\n\r\n", "GET / h 1.1 keep {Host=h;A=b:c;}\n");
    check(GET "A: \xc3\xa9\xff\r\n\r\n", "GET / h 1.1 keep {Host=h;A=\xc3\xa9\xff;}\n");
    check(GET "A: b\tc\r\n\r\n", "GET / h 1.1 keep {Host=h;A=b\tc;}\n");
    check(GET "!#$%&'*+-.^_`|~09: b\r\n\r\n", "GET / h 1.1 keep {Host=h;!#$%&'*+-.^_`|~09=b;}\n");
    /* names */
    check(GET ": b\r\n\r\n", "400\n");
    check(GET "A : b\r\n\r\n", "400\n");
    check(GET "A\t: b\r\n\r\n", "400\n");
    check(GET " A: b\r\n\r\n", "400\n");
    check(GET "A b: c\r\n\r\n", "400\n");
    check(GET "A\r\n\r\n", "400\n");
    check(GET "A(b): c\r\n\r\n", "400\n");
    check(GET "\xc3\xa9: b\r\n\r\n", "400\n");
    check(GET "A\x01: b\r\n\r\n", "400\n");
    check(GET "\"A\": b\r\n\r\n", "400\n");
    check("GET / HTTP/1.1\r\n " HOST "\r\n", "400\n");
    /* folded lines */
    check(GET "A: b\r\n c\r\n\r\n", "400\n");
    check(GET "A: b\r\n\tc\r\n\r\n", "400\n");
    check("GET / HTTP/1.1\r\nHost: h\r\n i\r\n\r\n", "400\n");
    check("GET / HTTP/1.1\r\nHost:\r\n h\r\n\r\n", "400\n");
    check(GET " \r\n\r\n", "400\n");
    /* values */
    check(GET "A: \x01\r\n\r\n", "400\n");
    check(GET "A: b\x1b[0m\r\n\r\n", "400\n");
    check(GET "A: b\x7f\r\n\r\n", "400\n");
    check(GET "A: b\x0b"
              "c\r\n\r\n",
          "400\n");
    /* ends of lines */
    check(GET "A: b\n\r\n", "400\n");
    check(GET "A: b\rC: d\r\n\r\n", "400\n");
    check(GET "A: b\r\r\n\r\n", "400\n");
    check(GET "\n", "400\n");
    check(GET "\r\r\n", "400\n");
    check(GET "\rX", "400\n");
    check(GET "A: b\r\n\rX", "400\n");
    check(GET "A: b\r\n\n", "400\n");
    check(GET "A: b\n\n", "400\n");
    check(GET "A\n", "400\n");
}

static void test_nul(void **state)
{
    (void)state;
    static const char whole[] = "GET /abc HTTP/1.1\r\nHost: abc\r\nName: value\r\n\r\n";
    for (size_t at = 0; at < sizeof whole - 1; at++) {
        char input[sizeof whole];
        memcpy(input, whole, sizeof whole);
        input[at] = '\0';
        char *text = driver_run(&limits, input, sizeof whole - 1, sizeof whole, 0);
        assert_string_equal(text, "400\n");
        free(text);
        driver_check_splits(&limits, input, sizeof whole - 1);
    }
}

static void test_framing(void **state)
{
    (void)state;
    check(GET "Content-Length: 0\r\n\r\n", "GET / h 1.1 keep\n");
    check(GET "content-LENGTH:  003 \r\n\r\nabc", "GET / h 1.1 keep [abc]\n");
    check(GET "Content-Length: 50\r\n\r\n", "body\n");
    check(GET "Transfer-Encoding: chunked\r\n\r\n", "body\n");
    check(GET "TRANSFER-encoding:\t CHUNKED \r\n\r\n0\r\n\r\n", "GET / h 1.1 keep\n");
    check(GET "Content-Length:\r\n\r\n", "400\n");
    check(GET "Content-Length: +1\r\n\r\na", "400\n");
    check(GET "Content-Length: -1\r\n\r\n", "400\n");
    check(GET "Content-Length: 0x1\r\n\r\na", "400\n");
    check(GET "Content-Length: 1 1\r\n\r\na", "400\n");
    check(GET "Content-Length: 1, 1\r\n\r\na", "400\n");
    check(GET "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "400\n");
    check(GET "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", "400\n");
    check(GET "Content-Length: 1.0\r\n\r\na", "400\n");
    check(GET "Content-Length: a\r\n\r\na", "400\n");
    check(GET "Content-Length: 9223372036854775808\r\n\r\n", "400\n");
    check(GET "Content-Length: 18446744073709551617\r\n\r\n", "400\n");
    check(GET "Content-Length: 99999999999999999999999999\r\n\r\n", "400\n");
    check(GET "Content-Length : 1\r\n\r\na", "400\n");
    check(GET " Content-Length: 1\r\n\r\na", "400\n");
    check(GET "Content-Length: 51\r\n\r\n", "413\n");
    check(GET "Content-Length: 9223372036854775807\r\n\r\n", "413\n");
    check("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding:\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: identity\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: gzip\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: chunkedx\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: xchunked\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: chunked, \r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: chunked, gzip\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: chunked, chunked\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: chunked;a=b\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: \"chunked\"\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: gzip chunked\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "400\n");
    check(GET "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "400\n");
    check(GET "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding : chunked\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding:\x0b"
              "chunked\r\n\r\n",
          "400\n");
    /* llhttp refuses a tab there, though it is a blank */
    check(GET "Content-Length: 1\t\r\n\r\na", "400\n");
    check(GET "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", "400\n");
    check(GET "Transfer-Encoding: gzip, chunked\r\n\r\n", "501\n");
    check(GET "Transfer-Encoding: gzip;q=1 , x, Chunked\r\n\r\n", "501\n");
}

static void test_connection(void **state)
{
    (void)state;
    check(GET "Connection: close\r\n\r\n", "GET / h 1.1 close\n");
    check(GET "connection: x, CLOSE\r\n\r\n", "GET / h 1.1 close\n");
    check(GET "Connection: x\r\nConnection: close\r\n\r\n", "GET / h 1.1 close\n");
    check(GET "Connection: close, keep-alive\r\n\r\n", "GET / h 1.1 close\n");
    check(GET "Connection: keep-alive\r\n\r\n", "GET / h 1.1 keep\n");
    check(GET "Connection: closed, xclose,,\r\n\r\n", "GET / h 1.1 keep\n");
    check(GET "Connection:\r\n\r\n", "GET / h 1.1 keep\n");
    check(GET "Proxy-Connection: close\r\n\r\n", "GET / h 1.1 keep\n");
    check("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / - 1.0 keep\n");
    check("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET / - 1.0 close\n");
}

#define UPGRADE "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"

static void test_upgrade(void **state)
{
    (void)state;
    check(GET UPGRADE "\r\n", "GET / h 1.1 keep upgrade\n");
    check(GET UPGRADE "\r\n\x81\x80GET", "GET / h 1.1 keep upgrade\nleft 5\n");
    check(GET "Upgrade: h2c, WebSocket\r\nConnection: UPGRADE\r\n\r\n", "GET / h 1.1 keep upgrade\n");
    check("GET / HTTP/1.0\r\n" UPGRADE "\r\n", "GET / - 1.0 keep upgrade\n");
    check("POST / HTTP/1.1\r\n" HOST UPGRADE "Content-Length: 2\r\n\r\nabc",
          "POST / h 1.1 keep upgrade [ab]\nleft 1\n");
    check("POST / HTTP/1.1\r\n" HOST UPGRADE "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nb",
          "POST / h 1.1 keep upgrade [a]\nleft 1\n");
    /* Others are ignored, and the next request follows. */
    check(GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" GET "\r\n",
          "GET / h 1.1 keep\nGET / h 1.1 keep\n");
    check(GET "Connection: Upgrade\r\n\r\n" GET "\r\n", "GET / h 1.1 keep\nGET / h 1.1 keep\n");
    check(GET "Upgrade: websocket\r\n\r\n" GET "\r\n", "GET / h 1.1 keep\nGET / h 1.1 keep\n");
    check(GET "Connection: Upgrade\r\nUpgrade: websockets\r\n\r\n" GET "\r\n",
          "GET / h 1.1 keep\nGET / h 1.1 keep\n");
    check(GET "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na" GET "\r\n",
          "GET / h 1.1 keep [a]\nGET / h 1.1 keep\n");
    check(GET
          "Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" GET
          "\r\n",
          "GET / h 1.1 keep [a]\nGET / h 1.1 keep\n");
}

static void test_expect(void **state)
{
    (void)state;
    check(GET "Expect: 100-continue\r\nContent-Length: 1\r\n\r\na", "GET / h 1.1 keep expect [a]\n");
    check(GET "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
          "GET / h 1.1 keep expect [a]\n");
    check(GET "Expect: 100-continue\r\n\r\n", "GET / h 1.1 keep\n");
    check(GET "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", "GET / h 1.1 keep\n");
    check(GET "Expect: 100-continue\r\nContent-Length: 1\r\n\r\na" GET "Content-Length: 1\r\n\r\nb",
          "GET / h 1.1 keep expect [a]\nGET / h 1.1 keep [b]\n");
    check("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
          "POST / - 1.0 close [a]\n");
    check("POST / HTTP/1.0\r\nExpect: x\r\n\r\n", "POST / - 1.0 close\n");
    check(GET "Expect: x\r\n\r\n", "417\n");
    check(GET "Expect: 100-continue, x\r\n\r\n", "417\n");
    check(GET "Expect:\r\n\r\n", "417\n");
    check(GET "Expect: 100-continue\r\nContent-Length: 51\r\n\r\n", "413\n");
}

/* What can't become a request is refused before it is complete. */
static void test_early(void **state)
{
    (void)state;
    check("\x16\x03\x01\x02", "400\n");
    check("\x80", "400\n");
    check("(", "400\n");
    check("GET@", "400\n");
    check("GET  ", "400\n");
    check("GET /\xff", "400\n");
    check("GET / X", "400\n");
    check("GET / HTTP/1.1\r\r", "400\n");
    check("PUT / HTTP/3.0\r\n", "505\n");
    check("FOO / HTTP/1.1\r\n", "501\n");
    check("GET x HTTP/1.1\r\n", "400\n");
    check("A123456789B123456789C123456789DXY", "501\n");
    check(GET "A b", "400\n");
    check(GET "A: b\n", "400\n");
    check(GET "A: \x01", "400\n");
    check("GET / HTTP/1.1\r\nHost: a b\r\n", "400\n");
    check("", "");
    check("\r", "");
    check("\r\n", "");
    check("G", "head\n");
    check("GET", "head\n");
    check("GET ", "head\n");
    check("GET /", "head\n");
    check("GET / ", "head\n");
    check("GET / HTTP/1.1", "head\n");
    check("GET / HTTP/1.1\r", "head\n");
    check("GET / HTTP/1.1\r\n", "head\n");
    check(GET, "head\n");
    check(GET "A", "head\n");
    check(GET "A:", "head\n");
    check(GET "A: b\r", "head\n");
    check(GET "\r", "head\n");
    check(GET "A: b\r\n\r", "head\n");
}

static void test_empty_lines(void **state)
{
    (void)state;
    check("\r\n" GET "\r\n", "GET / h 1.1 keep\n");
    check("\r\n\r\n\r\n\r\n" GET "\r\n", "GET / h 1.1 keep\n");
    check(GET "\r\n\r\n" GET "\r\n", "GET / h 1.1 keep\nGET / h 1.1 keep\n");
    check(GET "Content-Length: 1\r\n\r\na\r\n" GET "\r\n", "GET / h 1.1 keep [a]\nGET / h 1.1 keep\n");
    check("\r\n\r\n\r\n\r\n\r\n", "400\n");
    check("\n" GET "\r\n", "400\n");
    check("\r" GET "\r\n", "400\n");
    check("\r\n\n" GET "\r\n", "400\n");
    check("\r\r\n" GET "\r\n", "400\n");
    check("\r\n " GET "\r\n", "400\n");
}

static void test_pipeline(void **state)
{
    (void)state;
    check(GET "\r\nPOST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcHEAD /b HTTP/1.0\r\n\r\n",
          "GET / h 1.1 keep\nPOST /a h 1.1 keep [abc]\nHEAD /b - 1.0 close\n");
    check(GET "\r\n" GET "\r\nBAD\r\n\r\n" GET "\r\n", "GET / h 1.1 keep\nGET / h 1.1 keep\n400\n");
    check(GET "Connection: close\r\n\r\n\x01\x02", "GET / h 1.1 close\n400\n");
    check(GET "\r\nGE", "GET / h 1.1 keep\nhead\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),     cmocka_unit_test(test_request_lines),
        cmocka_unit_test(test_targets),     cmocka_unit_test(test_host),
        cmocka_unit_test(test_field_lines), cmocka_unit_test(test_nul),
        cmocka_unit_test(test_framing),     cmocka_unit_test(test_connection),
        cmocka_unit_test(test_upgrade),     cmocka_unit_test(test_expect),
        cmocka_unit_test(test_early),       cmocka_unit_test(test_empty_lines),
        cmocka_unit_test(test_pipeline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
