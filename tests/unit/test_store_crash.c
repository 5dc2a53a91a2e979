/* kill -9 at any moment: everything that was said to be kept is there afterwards, batches are whole, and a room is as
 * one of its batches left it. */
#include "store_driver.h"

#include "base/random.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define ROUNDS 20
#define ROOMS 8
#define KEYS 5

static struct world world;

/* ---- the server that will be killed: each room writes one batch after the other, two at a time ---- */

/* What it says: this batch of the room is kept. */
struct ledger_line {
    uint32_t room, number;
};

struct writer {
    uint32_t index;
    struct store_room *room;
    struct store_batch batches[2];
    uint32_t number; /* of the last one submitted */
    uint32_t kept;
};

static struct writer writers[ROOMS];
static int ledger;

static void written(struct store_batch *batch, enum store_result result);

/* Batch n sets all keys to n, deletes a key that batch n - 1 made, and moves the alarm. */
static void write_next(struct writer *writer, struct store_batch *batch)
{
    char key[16], value[16];

    batch->room = writer->room;
    batch->done = written;
    batch->ops.len = 0;
    batch->n_ops = 0;
    writer->number++;
    snprintf(value, sizeof value, "%u", writer->number);
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(store_batch_put(batch, span_of(key), span_of(value)), 0);
    }
    snprintf(key, sizeof key, "only-%u", writer->number - 1);
    assert_int_equal(store_batch_delete(batch, span_of(key)), 0);
    snprintf(key, sizeof key, "only-%u", writer->number);
    assert_int_equal(store_batch_put(batch, span_of(key), span_of(value)), 0);
    assert_int_equal(store_batch_alarm(batch, writer->number, 0), 0);
    store_submit(batch);
}

static void written(struct store_batch *batch, enum store_result result)
{
    struct writer *writer = NULL;

    for (unsigned i = 0; i < ROOMS; i++)
        if (writers[i].room == batch->room)
            writer = &writers[i];
    if (result != STORE_OK)
        _exit(2);
    writer->kept++;
    struct ledger_line line = {writer->index, writer->kept};
    if (write(ledger, &line, sizeof line) != sizeof line)
        _exit(3);
    write_next(writer, batch);
}

/* first: the number of each room's last batch so far. */
static _Noreturn void serve(const uint32_t *first)
{
    world_open(&world);
    for (unsigned i = 0; i < ROOMS; i++) {
        char id[16];
        snprintf(id, sizeof id, "room-%u", i);
        writers[i] = (struct writer){.index = i,
                                     .room = world_room(&world, "p", id),
                                     .number = first[i],
                                     .kept = first[i]};
        write_next(&writers[i], &writers[i].batches[0]);
        write_next(&writers[i], &writers[i].batches[1]);
    }
    loop_run(&world.loop);
    _exit(4);
}

/* ---- and what is there afterwards ---- */

/* The number that the room's batches have got to, if all of it fits together. */
static uint32_t check_room(unsigned index)
{
    char id[16], key[32], value[16];
    snprintf(id, sizeof id, "room-%u", index);
    struct store_room *room = world_room(&world, "p", id);
    struct store_read head = {.room = room, .kind = STORE_HEAD}, list = list_of(room);
    struct span rest, found_key, found_value;

    read_now(&world, &head);
    assert_int_equal(head.result, STORE_OK);
    uint32_t number = (uint32_t)head.alarm;
    read_now(&world, &list);
    assert_int_equal(list.result, STORE_OK);
    if (number == 0) {
        assert_int_equal(list.n_entries, 0);
        store_room_release(room);
        return 0;
    }
    assert_int_equal(list.n_entries, KEYS + 1);
    snprintf(value, sizeof value, "%u", number);
    rest = (struct span){(char *)list.entries.data, list.entries.len};
    for (unsigned i = 0; i <= KEYS; i++) {
        if (i < KEYS)
            snprintf(key, sizeof key, "k%u", i);
        else
            snprintf(key, sizeof key, "only-%u", number);
        assert_true(store_next_bytes(&rest, &found_key) && store_next_bytes(&rest, &found_value));
        assert_true(span_equal(found_key, span_of(key)));
        assert_true(span_equal(found_value, span_of(value)));
    }
    buf_fini(&list.entries);
    store_room_release(room);
    return number;
}

/* Reads what the server says, until enough has come; then all that had come when it was gone. */
static void read_ledger(int fd, pid_t server, unsigned enough, uint32_t *kept)
{
    struct ledger_line line;
    unsigned n = 0;
    ssize_t len;

    while ((len = read(fd, &line, sizeof line)) == sizeof line) {
        assert_true(line.room < ROOMS);
        assert_int_equal(line.number, kept[line.room] + 1);
        kept[line.room] = line.number;
        if (++n == enough)
            assert_int_equal(kill(server, SIGKILL), 0);
    }
    assert_int_equal(len, 0);
    assert_true(n >= enough);
}

static void nothing_that_was_kept_is_lost(void **state)
{
    uint32_t kept[ROOMS] = {0}, ahead = 0;
    (void)state;

    world_prepare(&world);
    for (unsigned round = 0; round < ROUNDS; round++) {
        int lines[2], status;
        uint8_t random[2];
        assert_int_equal(pipe(lines), 0);
        pid_t server = fork();
        assert_true(server >= 0);
        if (server == 0) {
            close(lines[0]);
            ledger = lines[1];
            serve(kept);
        }
        close(lines[1]);
        random_bytes(random, sizeof random);
        read_ledger(lines[0], server, 1 + random[0] * 2u + random[1], kept);
        close(lines[0]);
        assert_int_equal(waitpid(server, &status, 0), server);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

        world_open(&world);
        for (unsigned i = 0; i < ROOMS; i++) {
            uint32_t number = check_room(i);
            /* Two were under way, which may be kept or not. */
            assert_true(number >= kept[i] && number <= kept[i] + 2);
            ahead += number - kept[i];
            kept[i] = number;
        }
        world_close(&world);
    }
    print_message("%u batches were kept of which nobody had heard yet\n", ahead);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_was_kept_is_lost),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
