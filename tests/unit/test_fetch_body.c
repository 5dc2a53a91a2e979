/* Bodies that come in pieces: back-pressure, what is allowed, fetches that are ended from within. */
#include "fetch_driver.h"

static _Atomic size_t n_said; /* bytes of /endless that the kernel has taken */

static bool serve(int fd, const char *path, const char *request)
{
    char block[4096], head[128];

    (void)request;
    memset(block, 'x', sizeof block);
    if (strcmp(path, "/endless") == 0) {
        say_text(fd, "HTTP/1.1 200 OK\r\n\r\n");
        for (n_said = 0; say(fd, block, sizeof block); n_said += sizeof block)
            continue;
        return false;
    }
    if (strcmp(path, "/wait") == 0) {
        gate_pass(&answers);
        return say_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    if (strncmp(path, "/bytes/", 7) == 0) {
        long left = atol(path + 7);
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n", left);
        say_text(fd, head);
        for (; left > 0; left -= (long)sizeof block)
            say(fd, block, left < (long)sizeof block ? (size_t)left : sizeof block);
        return true;
    }
    say_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    gate_pass(&answers);
    return say_text(fd, "3\r\ntwo\r\n0\r\n\r\n");
}

static struct get *stream_of(const struct world *world, const char *path)
{
    struct get *get = get_of(world, path);
    get->options.stream = true;
    return get;
}

/* One that is not read holds no more than its window, and its server waits. */
static void back_pressure(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *get = stream_of(world, "/endless");
    size_t taken = 0;

    get_start(world, get);
    WAIT(world, get->fetch.starved);
    assert_true(get->fetch.body.len <= FETCH_WINDOW);
    unsigned changes = get->changes;
    for (int i = 0; i < 100; i++)
        loop_step(&world->loop);
    assert_true(get->changes <= changes + 1);
    assert_true(get->fetch.body.len <= FETCH_WINDOW);
    /* Read on for 16 MiB: all windows come. */
    while (taken < (size_t)16 * 1024 * 1024) {
        WAIT(world, get->fetch.body.len > 0);
        taken += get->fetch.body.len;
        fetch_consume(&get->fetch, get->fetch.body.len);
        assert_true(get->fetch.body.len <= FETCH_WINDOW);
    }
    assert_int_equal(get->fetch.state, FETCH_HEAD);
    get_end(get);
    world_end(world);
}

static void pieces_come_as_they_are_sent(void **state)
{
    (void)state;
    struct world *world = world_begin();

    gate_set(&answers, true);
    struct get *get = stream_of(world, "/pieces");
    get_start(world, get);
    WAIT(world, get->fetch.body.len == 3);
    assert_int_equal(get->fetch.state, FETCH_HEAD);
    assert_memory_equal(get->fetch.body.data, "one", 3);
    fetch_consume(&get->fetch, 3);
    gate_set(&answers, false);
    WAIT(world, get->fetch.state == FETCH_COMPLETE);
    assert_memory_equal(get->fetch.body.data, "two", 3);
    fetch_consume(&get->fetch, 3); /* after its end too */
    assert_int_equal(get->fetch.body.len, 0);
    get_end(get);
    world_end(world);
}

static void grow(struct get *get)
{
    if (get->fetch.starved)
        fetch_allow(&get->fetch, get->fetch.body.len * 2);
}

static void the_owner_allows_more(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *get = get_of(world, "/bytes/1048576");

    get->on_change = grow;
    get_start(world, get);
    WAIT(world, is_over(get));
    assert_int_equal(get->fetch.state, FETCH_COMPLETE);
    assert_int_equal(get->fetch.body.len, 1048576);
    get_end(get);
    get = get_of(world, "/bytes/1048577"); /* one over options.most */
    get->on_change = grow;
    get_start(world, get);
    WAIT(world, is_over(get));
    assert_int_equal(get->fetch.error, FETCH_TOO_LARGE);
    get_end(get);
    world_end(world);
}

/* ---- ended from within ---- */

static struct get *others[4];

static void close_others(struct get *get)
{
    for (int i = 0; i < 4; i++) {
        if (others[i] != get)
            fetch_close(&others[i]->fetch);
    }
    fetch_close(&get->fetch);
}

static void closing_in_changed(void **state)
{
    (void)state;
    struct world *world = world_begin();

    for (int i = 0; i < 4; i++) {
        others[i] = stream_of(world, "/endless");
        others[i]->on_change = close_others;
        get_start(world, others[i]);
    }
    WAIT(world, others[0]->changes + others[1]->changes + others[2]->changes + others[3]->changes > 0);
    loop_step(&world->loop);
    assert_int_equal(others[0]->changes + others[1]->changes + others[2]->changes + others[3]->changes, 1);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(others[i]->fetch.state, FETCH_IDLE);
        get_end(others[i]);
    }
    world_end(world);
}

static void fail_it(struct get *get)
{
    fetch_fail(&get->fetch, FETCH_ABORTED, "enough");
}

static void failing_in_changed(void **state)
{
    (void)state;
    struct world *world = world_begin();
    struct get *get = stream_of(world, "/endless");

    get->on_change = fail_it;
    get_start(world, get);
    WAIT(world, is_over(get));
    assert_int_equal(get->fetch.error, FETCH_ABORTED);
    assert_string_equal(get->fetch.message, "enough");
    fetch_fail(&get->fetch, FETCH_TIMEOUT, "again");
    assert_int_equal(get->fetch.error, FETCH_ABORTED);
    get_end(get);
    world_end(world);
}

static void many_at_once(void **state)
{
    (void)state;
    enum { N = 600 }; /* more than there are connections */
    struct world *world = world_begin();
    struct get **gets = calloc(N, sizeof *gets);

    gate_set(&answers, true);
    for (int i = 0; i < N; i++) {
        gets[i] = get_of(world, "/wait");
        get_start(world, gets[i]);
    }
    WAIT(world, gate_waiting(&answers) == FETCH_CONNECTIONS);
    for (int i = 0; i < 100; i++)
        loop_step(&world->loop);
    assert_int_equal(n_connections, FETCH_CONNECTIONS);
    gate_set(&answers, false);
    for (int i = 0; i < N; i++) {
        WAIT(world, is_over(gets[i]));
        assert_int_equal(gets[i]->fetch.state, FETCH_COMPLETE);
        get_end(gets[i]);
    }
    free(gets);
    world_end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(back_pressure),         cmocka_unit_test(pieces_come_as_they_are_sent),
        cmocka_unit_test(the_owner_allows_more), cmocka_unit_test(closing_in_changed),
        cmocka_unit_test(failing_in_changed),    cmocka_unit_test(many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
