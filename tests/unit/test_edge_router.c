/* edge: which room a path means, and what can't be the id of one. */
#include "edge/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The path in a block of memory of exactly its length, so that a sanitizer sees who reads too far. */
static enum route_kind route_copy(const char *path, size_t len, struct route *route, char **copy)
{
    *copy = malloc(len ? len : 1);
    assert_non_null(*copy);
    memcpy(*copy, path, len);
    return route_path((struct span){*copy, len}, route);
}

static void assert_span(const char *path, const char *what, struct span got, struct span want)
{
    if (!span_equal(got, want))
        fail_msg("%s: %s is \"%.*s\", not \"%.*s\"", path, what, (int)got.len, got.ptr, (int)want.len,
                 want.ptr);
}

static void paths_that_name_a_room(void **state)
{
    (void)state;
    static const struct {
        const char *path, *party, *room, *subpath;
    } rows[] = {
        {"/parties/chat/lobby", "chat", "lobby", "/"},
        {"/parties/chat/lobby/", "chat", "lobby", "/"},
        {"/parties/chat/lobby/a/b", "chat", "lobby", "/a/b"},
        {"/parties/chat/lobby//", "chat", "lobby", "//"},
        {"/party/lobby", "main", "lobby", "/"},
        {"/party/lobby/", "main", "lobby", "/"},
        {"/party/lobby/x", "main", "lobby", "/x"},
        {"/parties/main/lobby", "main", "lobby", "/"},
        {"/parties/parties/parties/parties", "parties", "parties", "/parties"},
        {"/party/party/party", "main", "party", "/party"},
        /* the id is decoded, once; what follows it stays as it was sent */
        {"/party/a%20b", "main", "a b", "/"},
        {"/party/%41%2d%5a%5A", "main", "A-ZZ", "/"},
        {"/party/100%25", "main", "100%", "/"},
        {"/party/%2541", "main", "%41", "/"},
        {"/party/a+b", "main", "a+b", "/"},
        {"/party/caf%C3%A9", "main", "caf\xc3\xa9", "/"},
        {"/party/%f0%9f%8e%89", "main", "\xf0\x9f\x8e\x89", "/"},
        {"/party/%C2%A0", "main", "\xc2\xa0", "/"},
        {"/party/a/%2e%2e/%zz", "main", "a", "/%2e%2e/%zz"},
        {"/party/.", "main", ".", "/"},
        {"/party/..", "main", "..", "/"},
        {"/party/a%3Fb%23c", "main", "a?b#c", "/"},
        {"/party/a:b@c!$&'()*,;=~", "main", "a:b@c!$&'()*,;=~", "/"},
        /* the party's name is taken as it is: there is none with such a name, but that is not known here */
        {"/parties/No%20Such/a", "No%20Such", "a", "/"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *path = rows[i].path;
        struct route route;
        char *copy;
        if (route_copy(path, strlen(path), &route, &copy) != ROUTE_ROOM)
            fail_msg("%s names no room: %s", path, route.reason ? route.reason : "no reason");
        assert_null(route.reason);
        assert_span(path, "the party", route.party, span_of(rows[i].party));
        assert_span(path, "the room", (struct span){(const char *)route.room.data, route.room.len},
                    span_of(rows[i].room));
        assert_span(path, "the rest", route.subpath, span_of(rows[i].subpath));
        route_fini(&route);
        free(copy);
    }
}

static void paths_that_name_none(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",
        "*",
        "/",
        "//",
        "/parties",
        "/parties/",
        "/parties/chat",
        "/parties/chat/",
        "/parties//",
        "/parties//lobby",
        "/parties/chat//lobby",
        "/party",
        "/party/",
        "/party//",
        "/party//lobby",
        "/Parties/chat/lobby",
        "/PARTY/lobby",
        "/partys/lobby",
        "/parties-/chat/lobby",
        "/part%79/lobby",
        "//party/lobby",
        "/x/parties/chat/lobby",
        "/index.html",
        "party/lobby",
        "parties/chat/lobby",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct route route;
        char *copy;
        if (route_copy(paths[i], strlen(paths[i]), &route, &copy) != ROUTE_NONE)
            fail_msg("%s names a room", paths[i]);
        assert_null(route.room.data);
        assert_null(route.reason);
        route_fini(&route);
        free(copy);
    }
}

static void paths_that_name_an_impossible_one(void **state)
{
    (void)state;
    static const struct {
        const char *path, *reason;
    } rows[] = {
        {"/party/a%2Fb", "The room id has a slash"},
        {"/party/%2f", "The room id has a slash"},
        {"/party/%00", "The room id has a control character"},
        {"/party/a%0ab/x", "The room id has a control character"},
        {"/party/%1f", "The room id has a control character"},
        {"/party/%7F", "The room id has a control character"},
        {"/party/a%C2%80", "The room id has a control character"},
        {"/parties/chat/%c2%9f", "The room id has a control character"},
        {"/party/%ff", "The room id is not valid UTF-8"},
        {"/party/%c3", "The room id is not valid UTF-8"},
        {"/party/%c0%af", "The room id is not valid UTF-8"},
        {"/party/%ed%a0%80", "The room id is not valid UTF-8"},
        {"/party/%f4%90%80%80", "The room id is not valid UTF-8"},
        {"/party/%c2", "The room id is not valid UTF-8"},
        {"/party/%", "The room id has a % that is not followed by two hex digits"},
        {"/party/a%4", "The room id has a % that is not followed by two hex digits"},
        {"/party/%4/1", "The room id has a % that is not followed by two hex digits"},
        {"/party/%g0/x", "The room id has a % that is not followed by two hex digits"},
        {"/party/%0x", "The room id has a % that is not followed by two hex digits"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *path = rows[i].path;
        struct route route;
        char *copy;
        if (route_copy(path, strlen(path), &route, &copy) != ROUTE_WRONG)
            fail_msg("%s is not refused", path);
        assert_span(path, "the reason", span_of(route.reason), span_of(rows[i].reason));
        assert_true(route.party.len > 0); /* an unknown party is said first */
        route_fini(&route);
        free(copy);
    }
}

/* The limit counts decoded bytes. */
static void ids_have_256_bytes_at_most(void **state)
{
    (void)state;
    for (size_t n = ROOM_ID_MAX - 1; n <= ROOM_ID_MAX + 1; n++) {
        struct buf path = {0};
        struct route route;

        assert_int_equal(buf_printf(&path, "/party/"), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(buf_printf(&path, "%%61"), 0);
        enum route_kind kind = route_path((struct span){(const char *)path.data, path.len}, &route);
        assert_int_equal(kind, n <= ROOM_ID_MAX ? ROUTE_ROOM : ROUTE_WRONG);
        assert_int_equal(route.room.len, n);
        if (kind == ROUTE_WRONG)
            assert_string_equal(route.reason, "The room id is longer than 256 bytes");
        route_fini(&route);
        buf_fini(&path);
    }
}

static void the_rules_of_ids(void **state)
{
    (void)state;
    char id[ROOM_ID_MAX + 1];

    assert_non_null(room_id_problem((struct span){NULL, 0}));
    assert_non_null(room_id_problem(SPAN("")));
    for (unsigned c = 0; c < 0x80; c++) { /* each ASCII character, between two others */
        char text[3] = {'a', (char)c, 'b'};
        bool wrong = c < 0x20 || c == 0x7f || c == '/';
        assert_true((room_id_problem((struct span){text, sizeof text}) != NULL) == wrong);
        assert_true((room_id_problem((struct span){text + 1, 1}) != NULL) == wrong);
    }
    for (unsigned c = 0x80; c < 0x100; c++) { /* U+0080 to U+00FF: the first 32 are controls (C1) */
        char text[2] = {(char)(c < 0xc0 ? 0xc2 : 0xc3), (char)(0x80 | (c & 0x3f))};
        assert_true((room_id_problem((struct span){text, sizeof text}) != NULL) == (c < 0xa0));
        assert_non_null(room_id_problem((struct span){text, 1})); /* cut */
        assert_non_null(room_id_problem((struct span){text + 1, 1}));
    }
    memset(id, 'x', sizeof id);
    assert_null(room_id_problem((struct span){id, ROOM_ID_MAX}));
    assert_non_null(room_id_problem((struct span){id, ROOM_ID_MAX + 1}));
    assert_null(room_id_problem(SPAN(" ")));
    assert_null(room_id_problem(SPAN("\xe2\x80\xa8"))); /* U+2028 is no control character */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_name_a_room),
        cmocka_unit_test(paths_that_name_none),
        cmocka_unit_test(paths_that_name_an_impossible_one),
        cmocka_unit_test(ids_have_256_bytes_at_most),
        cmocka_unit_test(the_rules_of_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
