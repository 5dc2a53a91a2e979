/* edge: which file a URL means, by its text. */
#include "edge/static_path.h"

#include "request_text.h"

#include <errno.h>
#include <stdlib.h>

/* The file, or NULL when there can be none; until the next call. The input is a block of its own. */
static const char *file_of(const char *path, size_t len)
{
    static char file[70000];
    struct buf out = {0};
    char *copy = malloc(len ? len : 1);

    assert_non_null(copy);
    memcpy(copy, path, len);
    int rc = static_path((struct span){copy, len}, &out);
    free(copy);
    assert_true(rc == 0 || rc == -ENOENT);
    assert_true(rc == 0 || out.len == 0);
    if (rc == 0) {
        assert_true(out.len > 1 && out.len <= sizeof file);
        assert_int_equal(strlen((const char *)out.data), out.len - 1);
        memcpy(file, out.data, out.len);
    }
    buf_fini(&out);
    return rc ? NULL : file;
}

static void paths_of_files(void **state)
{
    static const char *const cases[][2] = {
        {"/", "index.html"},
        {"/index.html", "index.html"},
        {"/a", "a"},
        {"/a/", "a/index.html"},
        {"/a/b.js", "a/b.js"},
        {"/a/b/", "a/b/index.html"},
        {"/a.b.c", "a.b.c"},
        {"/a.", "a."},
        {"/a..b", "a..b"},
        {"/a../b", "a../b"},
        {"/%61%2e%62", "a.b"},
        {"/a%20b", "a b"},
        {"/a+b", "a+b"},
        {"/caf%C3%A9", "caf\xc3\xa9"},
        {"/%F0%9F%8E%89.png", "\xf0\x9f\x8e\x89.png"},
        {"/~user", "~user"},
        {"/a;b=c", "a;b=c"},
        {"/a:b", "a:b"},
        {"/C:", "C:"},
        {"/100%25", "100%"},
        {"/%252e%252e", "%2e%2e"}, /* decoded once */
        {"/%252f", "%2f"},
        {"/-rf", "-rf"},
        {"/.well-known/", ".well-known/index.html"},
        {"/.well-known/security.txt", ".well-known/security.txt"},
        {"/%2ewell-known/x", ".well-known/x"},
        {"/parties", "parties"}, /* where the router finds no room in it */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *file = file_of(cases[i][0], strlen(cases[i][0]));
        if (!file || strcmp(file, cases[i][1]) != 0)
            fail_msg("%s: %s, not %s", cases[i][0], file ? file : "none", cases[i][1]);
    }
}

static void paths_of_no_file(void **state)
{
    static const char *const cases[] = {
        "",
        "*",
        "a",
        "index.html",
        "http://a/b",
        /* empty segments */
        "//",
        "//a",
        "//evil.example/",
        "/a//",
        "/a//b",
        "///",
        /* up, and nowhere */
        "/.",
        "/..",
        "/./",
        "/../",
        "/./a",
        "/../a",
        "/a/.",
        "/a/..",
        "/a/./b",
        "/a/../b",
        "/a/../../etc/passwd",
        "/../../../../../../etc/passwd",
        "/...",
        "/.../a",
        /* the same, encoded */
        "/%2e",
        "/%2e%2e",
        "/%2E%2E/a",
        "/.%2e/a",
        "/%2e./a",
        "/a/%2e%2e/%2e%2e/etc/passwd",
        "/%2e%2e%2fetc/passwd",
        "/..%2fetc%2fpasswd",
        "/..%2Ffesta.lua",
        "/%2fetc/passwd",
        "/%2f",
        "/a%2fb",
        "/a%2F..%2F..%2Fb",
        /* backslashes */
        "/\\",
        "/a\\b",
        "/..\\..\\a",
        "/%5c..%5c",
        "/a%5Cb",
        "/..%5ca",
        "/%5C%5Cevil.example%5Ca",
        /* what begins with a dot */
        "/.env",
        "/.git/config",
        "/.htaccess",
        "/.festa/data",
        "/a/.env",
        "/a/.b/c",
        "/%2eenv",
        "/a/%2Egit/HEAD",
        "/.well-known2",
        "/.Well-Known/x",
        "/.well-known%2fx",
        "/.well-known/.env",
        "/.well-known/../.env",
        "/a/.well-known/x",
        /* control characters */
        "/%00",
        "/a%00",
        "/index.html%00.png",
        "/a%0a",
        "/a%0d%0aX: y",
        "/%1b[2J",
        "/a%7f",
        "/a%c2%80",
        "/a%c2%9f",
        "/\x01",
        /* not UTF-8; overlong "/" and "." above all */
        "/%ff",
        "/%c0%af",
        "/%c0%ae%c0%ae/a",
        "/%e0%80%af",
        "/%f0%80%80%af",
        "/%ed%a0%80",
        "/%c3",
        "/\xff",
        /* escapes that are none */
        "/%",
        "/%2",
        "/%zz",
        "/%u002e%u002e/",
        "/a%",
        "/%%32%65",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *file = file_of(cases[i], strlen(cases[i]));
        if (file)
            fail_msg("%s: %s", cases[i], file);
    }
    assert_null(file_of("/a\0b", 4));
    assert_null(file_of("/\0", 2));
    assert_true(sizeof cases / sizeof *cases >= 40);
}

static void long_paths(void **state)
{
    static char path[60000];
    (void)state;
    for (size_t i = 0; i < sizeof path; i += 2)
        memcpy(path + i, "/a", 2);
    const char *file = file_of(path, sizeof path);
    assert_non_null(file);
    assert_int_equal(strlen(file), sizeof path - 1);
    memset(path + 1, 'a', sizeof path - 1);
    assert_non_null(file_of(path, sizeof path)); /* that there is no such name is the kernel's to say */
}

/* Appends, and leaves what was there. */
static void the_end_of_a_buffer(void **state)
{
    struct buf out = {0};
    (void)state;
    assert_int_equal(buf_append(&out, "x", 1), 0);
    assert_int_equal(static_path(SPAN("/a/../b"), &out), -ENOENT);
    assert_int_equal(out.len, 1);
    assert_int_equal(static_path(SPAN("/a/"), &out), 0);
    assert_memory_equal(out.data, "xa/index.html", 14);
    assert_int_equal(out.len, 14);
    buf_fini(&out);
}

static void types(void **state)
{
    static const char *const cases[][2] = {
        {"index.html", "text/html; charset=utf-8"},
        {"INDEX.HTML", "text/html; charset=utf-8"},
        {"a/b.c/app.min.js", "text/javascript; charset=utf-8"},
        {"app.mjs", "text/javascript; charset=utf-8"},
        {"style.css", "text/css; charset=utf-8"},
        {"notes.txt", "text/plain; charset=utf-8"},
        {"data.json", "application/json"},
        {"app.js.map", "application/json"},
        {"module.wasm", "application/wasm"},
        {"logo.svg", "image/svg+xml"},
        {"logo.png", "image/png"},
        {"photo.jpeg", "image/jpeg"},
        {"font.woff2", "font/woff2"},
        {"film.mp4", "video/mp4"},
        {"site.webmanifest", "application/manifest+json"},
        {"favicon.ico", "image/vnd.microsoft.icon"},
        {"archive.tar.gz", "application/gzip"},
        {"a.exe", "application/octet-stream"},
        {"a.htmlx", "application/octet-stream"},
        {"Makefile", "application/octet-stream"},
        {"html", "application/octet-stream"},
        {"a.html/b", "application/octet-stream"},
        {"a.", "application/octet-stream"},
        {"", "application/octet-stream"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *type = static_type(span_of(cases[i][0]));
        if (strcmp(type, cases[i][1]) != 0)
            fail_msg("%s: %s, not %s", cases[i][0], type, cases[i][1]);
    }
    assert_string_equal(static_type((struct span){"a.htmlx", 6}), "text/html; charset=utf-8");
}

static void pages_of_an_application(void **state)
{
    static const struct {
        const char *method, *path, *headers;
        bool wants;
    } cases[] = {
        {"GET", "/rooms/7", "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
         true},
        {"HEAD", "/rooms/7", "Accept: text/html\r\n", true},
        {"GET", "/", "Accept: text/html\r\n", true},
        {"GET", "/rooms/", "Accept: text/html\r\n", true},
        {"GET", "/v1.2/rooms", "Accept: text/html\r\n", true},
        {"GET", "/rooms", "Accept: */*\r\nAccept: TEXT/HTML ; level=1\r\n", true},
        {"GET", "/rooms", "Accept: text/html;q=0.001\r\n", true},
        {"GET", "/rooms", "Accept: text/html;level=1;Q=1\r\n", true},
        {"GET", "/rooms", "Accept: text/html;q=0\r\n", false},
        {"GET", "/rooms", "Accept: text/html ; q=0.000\r\n", false},
        {"GET", "/rooms", "Accept: text/html;level=1;q=0.0, */*\r\n", false},
        {"GET", "/rooms", "Accept: */*\r\n", false},
        {"GET", "/rooms", "Accept: text/*\r\n", false},
        {"GET", "/rooms", "Accept: application/json\r\n", false},
        {"GET", "/rooms", "Accept: text/htmlx\r\n", false},
        {"GET", "/rooms", "Accept:\r\n", false},
        {"GET", "/rooms", "Accept: ;q=1\r\n", false},
        {"GET", "/rooms", "", false},
        {"GET", "/app.js", "Accept: text/html\r\n", false},
        {"GET", "/a/b.png", "Accept: text/html\r\n", false},
        {"POST", "/rooms", "Accept: text/html\r\n", false},
        {"OPTIONS", "/rooms", "Accept: text/html\r\n", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_request *request = request_of(cases[i].method, cases[i].path, cases[i].headers);
        if (static_wants_page(request) != cases[i].wants)
            fail_msg("%s %s %s", cases[i].method, cases[i].path, cases[i].headers);
        http_request_free(request);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_of_files), cmocka_unit_test(paths_of_no_file),
        cmocka_unit_test(long_paths),     cmocka_unit_test(the_end_of_a_buffer),
        cmocka_unit_test(types),          cmocka_unit_test(pages_of_an_application),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
