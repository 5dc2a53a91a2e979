/* Bodies that come compressed: decoded as far as there is room for them, and no faster than a turn allows. */
#include "fetch_driver.h"
#include "hollow_deflate.h"

#include "fetch/decode.h"

#include <errno.h>
#include <zlib.h>

#define MIB ((size_t)1024 * 1024)
#define BOMB (16 * MIB) /* bytes that "/bomb" becomes */

#define HOLLOW (128 * 1024)        /* bytes of "/hollow", which become nothing */
#define STEP_NS (200u * NS_PER_MS) /* that a turn may take here */

#define GZIP 31
#define ZLIB 15
#define BARE (-15)

/* The text, compressed with this window (zlib.h); zeros, if there is no text. */
static size_t compress_text(void *out, size_t size, int window, const char *text, size_t len)
{
    static const uint8_t zeros[64 * 1024];
    z_stream zlib = {.next_out = out, .avail_out = (uInt)size};

    assert_int_equal(deflateInit2(&zlib, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    while (len > 0) {
        size_t piece = text || len < sizeof zeros ? len : sizeof zeros;
        zlib.next_in = (uint8_t *)(uintptr_t)(text ? (const void *)text : zeros);
        zlib.avail_in = (uInt)piece;
        assert_int_equal(deflate(&zlib, Z_NO_FLUSH), Z_OK);
        len -= piece;
    }
    assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
    deflateEnd(&zlib);
    return size - zlib.avail_out;
}

static bool say_coded(int fd, const char *coding, const uint8_t *body, size_t len)
{
    char head[256];

    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
             coding, len);
    if (!say_text(fd, head) || !say(fd, (const char *)body, len / 2))
        return false;
    gate_pass(&answers); /* a piece of it comes alone */
    return say(fd, (const char *)body + len / 2, len - len / 2);
}

/* gzip's header, and then blocks that hold nothing, or files that do. */
static size_t make_hollow(uint8_t *out, bool files)
{
    static const uint8_t file[20] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3};
    struct buf body = {0};

    assert_int_equal(buf_append(&body, file, files ? sizeof file : 10), 0);
    while (files && body.len < HOLLOW)
        assert_int_equal(buf_append(&body, file, sizeof file), 0);
    if (!files)
        put_hollow_blocks(&body, HOLLOW - body.len);
    memcpy(out, body.data, HOLLOW);
    buf_fini(&body);
    return HOLLOW;
}

static bool serve(int fd, const char *path, const char *request)
{
    static const char text[] = "some text, some text";
    uint8_t body[HOLLOW] = {0};
    char echo[4096];

    if (strncmp(path, "/gzip/", 6) == 0) /* /gzip/CODING: so it is called */
        return say_coded(fd, path + 6, body, compress_text(body, sizeof body, GZIP, text, sizeof text - 1));
    if (strcmp(path, "/zlib") == 0)
        return say_coded(fd, "deflate", body, compress_text(body, sizeof body, ZLIB, text, sizeof text - 1));
    if (strcmp(path, "/bare") == 0)
        return say_coded(fd, "deflate", body, compress_text(body, sizeof body, BARE, text, sizeof text - 1));
    if (strcmp(path, "/bomb") == 0)
        return say_coded(fd, "gzip", body, compress_text(body, sizeof body, GZIP, NULL, BOMB));
    if (strcmp(path, "/hollow") == 0)
        return say_coded(fd, "gzip", body, make_hollow(body, false));
    if (strcmp(path, "/cut") == 0)
        return say_coded(fd, "gzip", body, compress_text(body, sizeof body, GZIP, text, sizeof text - 1) - 9);
    if (strcmp(path, "/damaged") == 0)
        return say_coded(fd, "gzip", (const uint8_t *)"no gzip at all", 14);
    if (strcmp(path, "/nothing") == 0)
        return say_coded(fd, "gzip", body, 0);
    if (strcmp(path, "/head") == 0)
        return say_text(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n");
    if (strcmp(path, "/twice") == 0)
        return say_text(fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\n"
                            "Content-Length: 3\r\n\r\nabc");
    if (strcmp(path, "/transfer") == 0)
        return say_text(fd,
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    snprintf(echo, sizeof echo, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(request), request);
    return say_text(fd, echo);
}

static void codings(void **state)
{
    (void)state;
    struct world *world = world_begin();

    expect(world, get_of(world, "/gzip/gzip"), "200 some text, some text");
    expect(world, get_of(world, "/gzip/X-GZip"), "200 some text, some text");
    expect(world, get_of(world, "/zlib"), "200 some text, some text");
    expect(world, get_of(world, "/bare"), "200 some text, some text");
    expect(world, get_of(world, "/nothing"), "200 ");
    expect(world, get_of(world, "/twice"), "200 abc"); /* as it came */
    world_end(world);
}

/* A body may come slowly: what is there of it is decoded, and its end is waited for. */
static void in_two_pieces(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *get = get_of(world, "/bomb");

    gate_set(&answers, true);
    get->options.most = 2 * BOMB;
    get_start(world, get);
    allow_all(get);
    WAIT(world, get->fetch.body.len > BOMB / 3 && gate_waiting(&answers) == 1);
    assert_int_equal(get->fetch.state, FETCH_HEAD);
    gate_set(&answers, false);
    WAIT(world, is_over(get));
    assert_int_equal(get->fetch.state, FETCH_COMPLETE);
    assert_int_equal(get->fetch.body.len, BOMB);
    get_end(get);
    world_end(world);
}

static void what_can_not_be_decoded(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *get = get_of(world, "/gzip/br");

    get_wait(world, get); /* comes as it is */
    assert_int_equal(get->fetch.state, FETCH_COMPLETE);
    assert_memory_equal(get->fetch.body.data, "\x1f\x8b", 2);
    get_end(get);
    expect(world, get_of(world, "/cut"), "network: the body breaks off: it can't be decompressed to its end");
    expect(world, get_of(world, "/damaged"), "network: the body is damaged: it can't be decompressed");
    expect(world, get_of(world, "/transfer"),
           "network: the answer has a transfer coding that was not asked for");
    get = get_of(world, "/head");
    get->options.method = "HEAD";
    expect(world, get, "200 ");
    world_end(world);
}

static void what_is_asked_for(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *get = get_of(world, "/echo");

    get->options.headers = SPAN("accept-encoding: br\r\n");
    get_wait(world, get);
    assert_int_equal(buf_append(&get->fetch.body, "", 1), 0);
    assert_non_null(strstr((char *)get->fetch.body.data, "accept-encoding: br\r\n"));
    assert_null(strstr((char *)get->fetch.body.data, "gzip"));
    get_end(get);
    world_end(world);
}

/* Nobody reads: what was inflated is a window, and the rest waits as it came. */
static void no_more_than_there_is_room_for(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *get = get_of(world, "/bomb");
    size_t taken = 0;

    get->options.stream = true;
    get_start(world, get);
    WAIT(world, get->fetch.starved);
    for (int i = 0; i < 20; i++)
        loop_step(&world->loop);
    assert_int_equal(get->fetch.body.len, FETCH_WINDOW);
    assert_in_range(fetch_decoding(&get->fetch), 40 * 1024, 192 * 1024);
    while (taken < BOMB) {
        WAIT(world, get->fetch.body.len > 0);
        assert_true(get->fetch.body.cap <= 2 * FETCH_WINDOW);
        taken += get->fetch.body.len;
        fetch_consume(&get->fetch, get->fetch.body.len);
    }
    assert_int_equal(taken, BOMB);
    WAIT(world, get->fetch.state == FETCH_COMPLETE);
    assert_int_equal(get->fetch.body.len, 0);
    get_end(get);
    world_end(world);
}

static void no_more_than_it_may_have(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *get = get_of(world, "/bomb");

    get_wait(world, get);
    assert_int_equal(get->fetch.error, FETCH_TOO_LARGE);
    assert_string_equal(get->fetch.message, "the body is too large");
    assert_true(get->fetch.body.cap <= 4 * get->options.most);
    get_end(get);
    world_end(world);
}

/* All at once, the second halves too, until they are over: no turn takes long for them. */
static void get_in_turns(struct world *world, struct get **gets, int n, const char *path)
{
    bool over = false;

    gate_set(&answers, true);
    for (int i = 0; i < n; i++) {
        gets[i] = get_of(world, path);
        gets[i]->options.most = 2 * BOMB;
        get_start(world, gets[i]);
        allow_all(gets[i]);
    }
    WAIT(world, gate_waiting(&answers) == n);
    gate_set(&answers, false);
    while (gate_waiting(&answers) > 0)
        usleep(1000);
    while (!over) {
        uint64_t began = clock_thread_ns();
        loop_step(&world->loop);
        assert_in_range(clock_thread_ns() - began, 0, STEP_NS);
        over = true;
        for (int i = 0; i < n; i++)
            over = over && is_over(gets[i]);
    }
}

/* Several at once share what a turn may inflate, and all come to their ends. */
static void no_faster_than_a_turn_allows(void **state)
{
    (void)state;
    enum { N = 16 };
    struct world *world = world_begin();
    struct get *gets[N];

    get_in_turns(world, gets, N, "/bomb");
    for (int i = 0; i < N; i++) {
        assert_int_equal(gets[i]->fetch.state, FETCH_COMPLETE);
        assert_int_equal(gets[i]->fetch.body.len, BOMB);
        get_end(gets[i]);
    }
    world_end(world);
}

/* Those that become nothing take as long as others. */
static void nothing_is_not_for_nothing(void **state)
{
    (void)state;
    enum { N = 64 };
    struct world *world = world_begin();
    struct get *gets[N];

    get_in_turns(world, gets, N, "/hollow");
    for (int i = 0; i < N; i++) {
        assert_string_equal(gets[i]->fetch.message,
                            "the body breaks off: it can't be decompressed to its end");
        get_end(gets[i]);
    }
    world_end(world);
}

static void closed_while_it_waits(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *gets[4];

    for (int i = 0; i < 4; i++) {
        gets[i] = get_of(world, "/bomb");
        gets[i]->options.most = 2 * BOMB;
        get_start(world, gets[i]);
        allow_all(gets[i]);
    }
    for (int i = 0; i < 4; i++) {
        WAIT(world, gets[i]->fetch.body.len > 0);
        get_end(gets[i]);
    }
    loop_step(&world->loop);
    world_end(world);
}

/* ---- the decoder alone ---- */

/* Byte for byte, and with room for one at a time; what follows the body is left out. */
static void in_any_pieces(void **state)
{
    (void)state;
    static const char text[] = "one piece and another";
    uint8_t coded[512];
    size_t len = compress_text(coded, sizeof coded, GZIP, text, 10);
    len +=
        compress_text(coded + len, sizeof coded - len, GZIP, text + 10, sizeof text - 11); /* a second file */
    memcpy(coded + len, "rest", 4);

    for (size_t step = 1; step < 50; step += 7) {
        struct decoder *decoder = decoder_new(CODING_GZIP);
        struct buf out = {0};
        for (size_t at = 0; at < len + 4; at += step) {
            size_t piece = len + 4 - at < step ? len + 4 - at : step;
            assert_int_equal(decoder_give(decoder, coded + at, piece), 0);
            while (decoder_pending(decoder)) {
                size_t had = out.len;
                assert_int_equal(decoder_take(decoder, &out, 1), 0);
                assert_true(out.len <= had + 1);
            }
            assert_true(at + piece < len ? !decoder_whole(decoder) || out.len == 10 : decoder_whole(decoder));
        }
        assert_int_equal(out.len, sizeof text - 1);
        assert_memory_equal(out.data, text, out.len);
        buf_fini(&out);
        decoder_free(decoder);
    }
}

/* However little comes of it: no step takes longer than a moment. */
static void in_small_steps(void **state)
{
    (void)state;
    for (int files = 0; files < 2; files++) {
        struct decoder *decoder = decoder_new(CODING_GZIP);
        struct buf out = {0};
        uint8_t *body = malloc(HOLLOW);
        size_t steps = 0;

        assert_non_null(body);
        assert_int_equal(decoder_give(decoder, body, make_hollow(body, files)), 0);
        for (; decoder_pending(decoder); steps++)
            assert_int_equal(decoder_take(decoder, &out, SIZE_MAX), 0);
        assert_true(steps >= HOLLOW / 4096);
        assert_int_equal(out.len, 0);
        free(body);
        buf_fini(&out);
        decoder_free(decoder);
    }
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(coding_of(SPAN("")), CODING_NONE);
    assert_int_equal(coding_of(SPAN("Identity")), CODING_NONE);
    assert_int_equal(coding_of(SPAN("GZIP")), CODING_GZIP);
    assert_int_equal(coding_of(SPAN("x-gzip")), CODING_GZIP);
    assert_int_equal(coding_of(SPAN("deflate")), CODING_DEFLATE);
    assert_int_equal(coding_of(SPAN("gzip, gzip")), CODING_OTHER);
    assert_int_equal(coding_of(SPAN("br")), CODING_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codings),
        cmocka_unit_test(in_two_pieces),
        cmocka_unit_test(what_can_not_be_decoded),
        cmocka_unit_test(what_is_asked_for),
        cmocka_unit_test(no_more_than_there_is_room_for),
        cmocka_unit_test(no_more_than_it_may_have),
        cmocka_unit_test(no_faster_than_a_turn_allows),
        cmocka_unit_test(nothing_is_not_for_nothing),
        cmocka_unit_test(closed_while_it_waits),
        cmocka_unit_test(in_any_pieces),
        cmocka_unit_test(in_small_steps),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
