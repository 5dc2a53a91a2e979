/* Random traffic against a model: whatever is written, said to groups, held, paused, handed
 * over and read in whatever order, each stream arrives as it was sent. */
#include "net_driver.h"

#define CONNS 8
#define GROUPS 2
#define STEPS 3000

static struct world world;
static struct conn_group groups[GROUPS];
static uint64_t seed;

static size_t draw(size_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)((seed >> 33) % below);
}

/* One connection, and what both ends must have got in the end. */
struct pair {
    struct side *side;
    int fd;
    struct buf out, got; /* to the client */
    struct buf in;       /* to the server */
    bool reads;          /* the client does, now */
    size_t in_sent;
};

static struct pair pairs[CONNS];
static uint8_t source[200000];

static void expect(struct pair *pair, const uint8_t *data, size_t len)
{
    if (pair->side->conn && pair->side->conn->state == CONN_OPEN)
        assert_int_equal(buf_append(&pair->out, data, len), 0);
}

/* Uses some, none or all; pauses and resumes as it likes. */
static size_t read_at_random(struct side *side, uint8_t *data, size_t len)
{
    (void)data;
    switch (draw(8)) {
    case 0: conn_pause(side->conn); break;
    case 1:
        conn_pause(side->conn);
        conn_resume(side->conn);
        break;
    case 2: conn_set_owner(side->conn, &side_ops, side); break;
    default: break;
    }
    return draw(3) ? draw(len + 1) : len;
}

static void write_something(struct pair *pair)
{
    struct conn *conn = pair->side->conn;
    size_t from = draw(100000), len = draw(8) ? draw(300) : draw(30000);
    const uint8_t *data = source + from;
    size_t head = draw(len + 1);
    struct bytes *bytes;

    switch (draw(3)) {
    case 0:
        expect(pair, data, len);
        conn_write(conn, data, len);
        break;
    case 1:
        bytes = bytes_copy(source, from + len);
        expect(pair, data, len);
        conn_write_bytes(conn, bytes, from, len);
        bytes_unref(bytes);
        break;
    default:
        bytes = bytes_copy(data + head, len - head);
        expect(pair, data, len);
        conn_write_message(conn, data, head, bytes);
        bytes_unref(bytes);
        break;
    }
}

static void say_something(struct conn_group *group)
{
    size_t len = draw(20) ? draw(500) : draw(100000), head = draw(len + 1), n = draw(2) ? 0 : draw(5);
    const uint8_t *data = source + draw(100000);
    struct conn *without[5];

    for (size_t i = 0; i < n; i++)
        without[i] = pairs[draw(CONNS)].side->conn;
    for (size_t i = 0; i < CONNS; i++) {
        struct conn *conn = pairs[i].side->conn;
        bool left_out = conn->group != group;
        for (size_t j = 0; j < n; j++)
            left_out = left_out || without[j] == conn;
        if (!left_out)
            expect(&pairs[i], data, len);
    }
    conn_group_write(group, data, head, data + head, len - head, without, n);
}

static void client_sends(struct pair *pair)
{
    size_t from = draw(100000), len = draw(5000);
    ssize_t n = send(pair->fd, source + from, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        assert_int_equal(buf_append(&pair->in, source + from, (size_t)n), 0);
}

static void step(void)
{
    struct pair *pair = &pairs[draw(CONNS)];
    struct conn *conn = pair->side->conn;

    switch (draw(16)) {
    case 0:
    case 1:
    case 2: write_something(pair); break;
    case 3:
    case 4:
    case 5: say_something(&groups[draw(GROUPS)]); break;
    case 6: conn_group_leave(conn); break;
    case 7:
        if (!conn->group)
            conn_group_join(&groups[draw(GROUPS)], conn);
        break;
    case 8: conn->held ? conn_release(conn) : conn_hold(conn); break;
    case 9: draw(3) ? conn_resume(conn) : conn_pause(conn); break;
    case 10: pair->reads = !pair->reads; break;
    case 11: client_sends(pair); break;
    case 12: client_read(pair->fd, &pair->got, draw(20000)); break;
    default:
        loop_step(&world.loop);
        for (size_t i = 0; i < CONNS; i++) {
            if (pairs[i].reads)
                client_read(pairs[i].fd, &pairs[i].got, draw(2) ? 3000 : SIZE_MAX);
        }
        break;
    }
}

static void compare(const struct buf *got, const struct buf *expected, const char *what, size_t i)
{
    size_t len = got->len < expected->len ? got->len : expected->len;
    for (size_t at = 0; at < len; at++) {
        if (got->data[at] != expected->data[at])
            fail_msg("%s of connection %zu differs at %zu", what, i, at);
    }
    if (got->len != expected->len)
        fail_msg("%s of connection %zu has %zu bytes instead of %zu", what, i, got->len, expected->len);
}

static void each_stream_arrives_as_it_was_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (uint8_t)(i * 2654435761u >> 15);
    for (uint64_t run = 1; run <= 12; run++) {
        seed = run;
        world_open(&world, SIZE_MAX, 1000000, 1000);
        for (size_t i = 0; i < GROUPS; i++)
            conn_group_init(&groups[i], &world.net);
        for (size_t i = 0; i < CONNS; i++) {
            pairs[i] = (struct pair){.reads = true};
            pairs[i].side = dial(&world, &pairs[i].fd, i % 2);
            pairs[i].side->on_read = read_at_random;
        }
        for (int i = 0; i < STEPS; i++)
            step();

        /* Some are closed with all that they have yet to send, the others have it read first. */
        for (size_t i = 0; i < CONNS; i++) {
            struct pair *pair = &pairs[i];
            pair->side->on_read = NULL;
            conn_release(pair->side->conn);
            conn_pause(pair->side->conn);
            conn_resume(pair->side->conn); /* hands up what was left, too */
            conn_group_leave(pair->side->conn);
            if (i % 3 == 0) {
                conn_close(pair->side->conn);
            } else {
                WAIT(&world, pair->side->got.len >= pair->in.len);
                compare(&pair->side->got, &pair->in, "input", i);
                WAIT(&world, (client_read(pair->fd, &pair->got, SIZE_MAX), pair->got.len >= pair->out.len));
                assert_int_equal(conn_pending(pair->side->conn), 0);
                conn_close(pair->side->conn);
            }
            WAIT(&world, client_read(pair->fd, &pair->got, SIZE_MAX) == 0);
            compare(&pair->got, &pair->out, "output", i);
            hang_up(pair->side, pair->fd);
            buf_fini(&pair->out);
            buf_fini(&pair->got);
            buf_fini(&pair->in);
        }
        for (size_t i = 0; i < GROUPS; i++)
            conn_group_fini(&groups[i]);
        world_close(&world);
    }
}

/* ---- life and death: everything is told once, whatever happens when ---- */

static void end_at_random(struct conn *conn)
{
    switch (draw(6)) {
    case 0: conn_reset(conn); break;
    case 1: conn_close(conn); break;
    default: break;
    }
}

static size_t read_and_end(struct side *side, uint8_t *data, size_t len)
{
    conn_group_write(&groups[0], data, len, NULL, 0, &side->conn, draw(2));
    conn_write(side->conn, data, len);
    end_at_random(side->conn);
    return draw(len + 1);
}

static void event_and_end(struct side *side, char event)
{
    if (event == 'c')
        return;
    conn_write(side->conn, "event", 5);
    if (event == 'e')
        conn_close(side->conn);
    end_at_random(side->conn);
}

static void act(struct pair *pair)
{
    struct linger at_once = {1, 0};
    struct conn *conn = pair->side ? pair->side->conn : NULL;

    switch (draw(14)) {
    case 0:
        if (conn && draw(4) == 0)
            end_at_random(conn);
        break;
    case 1:
        if (pair->fd >= 0)
            shutdown(pair->fd, SHUT_WR);
        break;
    case 2:
        if (pair->fd >= 0 && draw(3) == 0) {
            if (draw(2))
                setsockopt(pair->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
            close(pair->fd);
            pair->fd = -1;
        }
        break;
    case 3:
    case 4: conn_group_write(&groups[0], source, draw(2000), source, draw(50000), &conn, conn != NULL); break;
    case 5:
        if (conn)
            draw(2) ? conn_pause(conn) : conn_resume(conn);
        break;
    case 6:
        if (conn)
            draw(2) ? conn_hold(conn) : conn_release(conn);
        break;
    case 7:
        if (conn)
            conn_write(conn, source, draw(100000));
        break;
    case 8:
    case 9:
        if (pair->fd >= 0)
            (void)!send(pair->fd, source, draw(3000) + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        break;
    case 10:
        if (pair->fd >= 0) {
            client_read(pair->fd, &pair->got, draw(100000));
            pair->got.len = 0;
        }
        break;
    default: loop_step(&world.loop); break;
    }
}

static void renew(struct pair *pair)
{
    if (pair->side) {
        if (pair->fd >= 0)
            close(pair->fd);
        side_free(pair->side);
    }
    pair->side = dial(&world, &pair->fd, draw(2));
    pair->side->on_read = read_and_end;
    pair->side->on_event = event_and_end;
    conn_group_join(&groups[0], pair->side->conn);
}

static void every_life_ends_once(void **state)
{
    unsigned lives = 0, errors = 0, overflows = 0;
    (void)state;

    for (uint64_t run = 1; run <= 12; run++) {
        seed = run * 1000;
        world_open(&world, 200000, 20, 1000);
        conn_group_init(&groups[0], &world.net);
        for (size_t i = 0; i < CONNS; i++)
            pairs[i] = (struct pair){.fd = -1};
        for (int i = 0; i < STEPS; i++) {
            struct pair *pair = &pairs[draw(CONNS)];
            if (!pair->side || pair->side->closes) {
                renew(pair);
                lives++;
            }
            act(pair);
            assert_in_range(world.net.n_conns, 0, CONNS);
        }
        for (size_t i = 0; i < CONNS; i++) {
            struct pair *pair = &pairs[i];
            if (!pair->side)
                continue;
            errors += pair->side->errors;
            overflows += pair->side->overflows;
            hang_up(pair->side, pair->fd);
            buf_fini(&pair->got);
        }
        assert_int_equal(groups[0].n_members, 0);
        conn_group_fini(&groups[0]);
        world_close(&world);
    }
    assert_true(lives > 100);
    assert_true(errors + overflows > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stream_arrives_as_it_was_sent),
        cmocka_unit_test(every_life_ends_once),
    };
    alarm(600);
    return RUN_BOTH_WAYS(tests);
}
