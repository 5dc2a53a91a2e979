/* Requests with something broken in them, by the thousand and the same ones each time: however
 * the bytes are cut the outcome is the same, and what is accepted keeps the rules, which are
 * written here once more in the most simple-minded way. */
#include "http_driver.h"

#include "http/field.h"

#include <stdio.h>

#define ROUNDS 20000
#define INPUT_MAX 1024u

static const struct http_limits limits = {.url = 60, .headers = 200, .body = 40};

static const char *const seeds[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /parties/main/room?_pk=1%20 HTTP/1.1\r\nHost: a.b:80\r\nAccept: */*\r\nConnection: "
    "keep-alive\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcdeGET / HTTP/1.0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / "
    "HTTP/1.1\r\nHost: a\r\n\r\n",
    "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: "
    "a\r\n\r\n1;a=b;c=\"d\"\r\nx\r\nA\r\n0123456789\r\n0;e\r\nF: g\r\n\r\n",
    "GET http://a.b/c?d HTTP/1.1\r\nHost: [::1]:80\r\nConnection: Upgrade\r\nUpgrade: "
    "websocket\r\n\r\n\x81\x80",
    "OPTIONS * HTTP/1.1\r\nHost:\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
    "\r\nDELETE /a HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: h2c\r\n\r\nHEAD /b "
    "HTTP/1.1\r\nHost: b\r\n\r\n",
};

/* What breaks parsers, one of which is put somewhere. */
static const char *const splinters[] = {
    "\r",
    "\n",
    "\r\n",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "=",
    "\"",
    "#",
    "?",
    "*",
    "/",
    "\x01",
    "\x7f",
    "\x80",
    "\xff",
    "0",
    "1",
    "9",
    "a",
    "F",
    "-",
    "+",
    "\\",
    "%",
    "[",
    "]",
    "@",
    "Host: b\r\n",
    "chunked",
    "HTTP/1.1",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "1.0",
    "x: y\r\n",
    "GET / HTTP/1.1\r\nHost: c\r\n\r\n",
    "\x0b",
    "\x0c",
    ", ",
    "gzip, ",
    "identity",
    "99999999999999999999",
};

/* A generator of numbers that is the same everywhere (xorshift64*). */
static uint64_t random_state = 88172645463325252u;

static size_t below(size_t n)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (size_t)((random_state * 2685821657736338717u) >> 33) % n;
}

/* Puts text into the input in place of `gone` bytes at `at`. */
static size_t splice(char *input, size_t len, size_t at, size_t gone, const char *text, size_t n)
{
    if (gone > len - at)
        gone = len - at;
    if (len - gone + n > INPUT_MAX)
        return len;
    memmove(input + at + n, input + at + gone, len - at - gone);
    memcpy(input + at, text, n);
    return len - gone + n;
}

static size_t mutate(char *input, size_t len)
{
    size_t at = below(len + 1), n;
    const char *splinter = splinters[below(sizeof splinters / sizeof *splinters)];
    char copy[32] = {0};
    switch (below(5)) {
    case 0: /* put in */ return splice(input, len, at, 0, splinter, strlen(splinter));
    case 1: /* put in place */ return splice(input, len, at, strlen(splinter), splinter, strlen(splinter));
    case 2: /* take out */ return splice(input, len, at, 1 + below(8), "", 0);
    case 3: /* twice */
        n = len - at < sizeof copy ? len - at : 1 + below(sizeof copy);
        memcpy(copy, input + at, n);
        return splice(input, len, at, 0, copy, n);
    default: /* any byte */ copy[0] = (char)below(256); return splice(input, len, at, 1, copy, 1);
    }
}

/* Does a line begin with this name and a colon, in any case? */
static bool has_name(const char *line, const char *name)
{
    return strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':';
}

/* The first request was accepted: is its head one that may be? */
static void check_accepted(const char *input, size_t len)
{
    char head[INPUT_MAX + 1];
    while (len >= 2 && memcmp(input, "\r\n", 2) == 0) {
        input += 2;
        len -= 2;
    }
    const char *end = memmem(input, len, "\r\n\r\n", 4);
    assert_non_null(end);
    len = (size_t)(end - input) + 2;
    memcpy(head, input, len);
    head[len] = '\0';
    assert_int_equal(strlen(head), len);

    char *line = head, *next;
    int hosts = 0, lengths = 0, codings = 0, fields = 0;
    bool modern = false;
    for (; *line; line = next, fields++) {
        next = strstr(line, "\r\n");
        assert_non_null(next);
        *next = '\0';
        next += 2;
        assert_null(strpbrk(line, "\r\n"));
        if (line == head) {
            char method[20], target[100], version[20], again[200];
            assert_int_equal(sscanf(line, "%19s %99s %19s", method, target, version), 3);
            snprintf(again, sizeof again, "%s %s %s", method, target, version);
            assert_string_equal(again, line);
            assert_non_null(strstr(" GET HEAD POST PUT PATCH DELETE OPTIONS ", method));
            modern = strcmp(version, "HTTP/1.1") == 0;
            assert_true(modern || strcmp(version, "HTTP/1.0") == 0);
            assert_true(strlen(target) <= limits.url);
            for (char *c = target; *c; c++)
                assert_true(*c > ' ' && *c < 0x7f && *c != '#');
            continue;
        }
        size_t name = strcspn(line, ":");
        assert_true(line[name] == ':' && name > 0);
        for (size_t i = 0; i < name; i++)
            assert_true(line[i] > ' ' && line[i] < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", line[i]));
        for (char *c = line + name + 1; *c; c++)
            assert_true(*c == '\t' || ((unsigned char)*c >= ' ' && *c != 0x7f));
        hosts += has_name(line, "Host");
        codings += has_name(line, "Transfer-Encoding");
        lengths += has_name(line, "Content-Length");
        if (has_name(line, "Content-Length"))
            assert_int_equal(strspn(line + name + 1, " \t0123456789"), strlen(line + name + 1));
        if (has_name(line, "Transfer-Encoding"))
            assert_true(modern && strcasestr(line + name, "chunked") && !strchr(line, ','));
    }
    assert_true(hosts <= 1 && (hosts == 1 || !modern));
    assert_true(lengths + codings <= 1);
}

static void test_mutations(void **state)
{
    int accepted = 0, refused = 0, open = 0;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char input[INPUT_MAX];
        const char *seed = seeds[below(sizeof seeds / sizeof *seeds)];
        size_t len = strlen(seed);
        memcpy(input, seed, len);
        for (size_t n = 1 + below(3); n; n--)
            len = mutate(input, len);

        char *whole = driver_run(&limits, input, len, INPUT_MAX, 0);
        char *bytes = driver_run(&limits, input, len, 1, 0);
        char *pieces = driver_run(&limits, input, len, 1 + below(20), below(len + 1));
        if (strcmp(whole, bytes) != 0 || strcmp(whole, pieces) != 0)
            print_error("round %d: %.*s\n", round, (int)len, input);
        assert_string_equal(whole, bytes);
        assert_string_equal(whole, pieces);
        if (whole[0] >= 'A' && whole[0] <= 'Z') {
            check_accepted(input, len);
            accepted++;
        } else if (whole[0] >= '0' && whole[0] <= '9') {
            refused++;
        } else {
            open++;
        }
        free(whole);
        free(bytes);
        free(pieces);
    }
    print_message("%d requests accepted first, %d refused, %d not complete\n", accepted, refused, open);
    assert_true(accepted > ROUNDS / 10 && refused > ROUNDS / 10 && open > ROUNDS / 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
