/* Several loops at once: each gets the answers of its own rooms, on its own thread; batches and reads do not disturb each
 * other, and a read sees what its room has been told is kept. A backup is made meanwhile. */
#include "store_driver.h"

#include <pthread.h>

#define LOOPS 2
#define ROOMS 20
#define BATCHES 60

static struct world world;

static int set_up(void **state)
{
    (void)state;
    world_init(&world, 1);
    return 0;
}

static int set_up_three(void **state)
{
    (void)state;
    world_init(&world, 3);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_fini(&world);
    return 0;
}

/* ---- rooms that write and read, each on its loop ---- */

struct actor {
    struct store_room *room;
    struct store_batch batch;
    struct store_read read;
    uint32_t n;
    pthread_t thread;
};

/* cmocka's asserts are for the main thread. */
#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                  \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static void act(struct actor *actor);

static void actor_read(struct store_read *read)
{
    struct actor *actor = container_of(read, struct actor, read);
    struct span rest = {(char *)read->entries.data, read->entries.len}, key, value;

    MUST(pthread_equal(pthread_self(), actor->thread));
    MUST(read->result == STORE_OK && read->n_entries == 2);
    for (int i = 0; i < 2; i++) {
        MUST(store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value));
        MUST(value.len == sizeof actor->n && memcmp(value.ptr, &actor->n, sizeof actor->n) == 0);
    }
    buf_fini(&read->entries);
    if (actor->n < BATCHES)
        act(actor);
}

static void actor_kept(struct store_batch *batch, enum store_result result)
{
    struct actor *actor = container_of(batch, struct actor, batch);

    MUST(pthread_equal(pthread_self(), actor->thread));
    MUST(result == STORE_OK);
    actor->read = (struct store_read){.room = actor->room, .kind = STORE_LIST, .done = actor_read};
    store_read(&actor->read);
}

static void act(struct actor *actor)
{
    actor->n++;
    struct span value = {(char *)&actor->n, sizeof actor->n};
    actor->batch.room = actor->room;
    actor->batch.done = actor_kept;
    actor->batch.ops.len = 0;
    actor->batch.n_ops = 0;
    MUST(store_batch_put(&actor->batch, SPAN("a"), value) == 0);
    MUST(store_batch_put(&actor->batch, SPAN("b"), value) == 0);
    store_submit(&actor->batch);
}

static void *run_loop(void *user)
{
    static struct actor actors[LOOPS][ROOMS];
    size_t index = *(size_t *)user;
    struct loop loop;

    MUST(loop_init(&loop) == 0);
    for (size_t i = 0; i < ROOMS; i++) {
        char id[16];
        struct actor *actor = &actors[index][i];
        *actor = (struct actor){.thread = pthread_self()};
        snprintf(id, sizeof id, "%zu-%zu", index, i);
        actor->room = store_room_open(world.store, &loop, SPAN("p"), span_of(id));
        MUST(actor->room);
        act(actor);
    }
    loop_run(&loop);
    for (size_t i = 0; i < ROOMS; i++) {
        MUST(actors[index][i].n == BATCHES);
        buf_fini(&actors[index][i].batch.ops);
        store_room_release(actors[index][i].room);
    }
    loop_fini(&loop);
    return NULL;
}

static void start_loops(pthread_t threads[LOOPS])
{
    static size_t numbers[LOOPS];

    for (size_t i = 0; i < LOOPS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, run_loop, &numbers[i]), 0);
    }
}

static void end_loops(const pthread_t threads[LOOPS])
{
    for (size_t i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void loops_share_a_store(void **state)
{
    pthread_t threads[LOOPS];
    (void)state;

    start_loops(threads);
    end_loops(threads);
    for (size_t i = 0; i < LOOPS * ROOMS; i++) {
        char id[16];
        uint32_t last = BATCHES;
        struct span rest, key, value;
        snprintf(id, sizeof id, "%zu-%zu", i / ROOMS, i % ROOMS);
        struct store_room *room = world_room(&world, "p", id);
        struct store_read read = list_of(room);
        read_now(&world, &read);
        rest = (struct span){(char *)read.entries.data, read.entries.len};
        assert_true(store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value));
        assert_memory_equal(value.ptr, &last, sizeof last);
        buf_fini(&read.entries);
        store_room_release(room);
    }
}

/* ---- backups ---- */

static void backup_done(struct store_backup *backup)
{
    backup->done = NULL;
}

static void back_up(struct store_backup *backup, const char *path)
{
    *backup =
        (struct store_backup){.store = world.store, .loop = &world.loop, .path = path, .done = backup_done};
    store_backup(backup);
    loop_run(&world.loop);
    assert_null(backup->done);
}

/* It is a data folder: what a server can be started with. Each room is as one of its batches left it. */
static void a_backup_is_made_while_rooms_write(void **state)
{
    pthread_t threads[LOOPS];
    struct store_backup backup;
    char path[200];
    (void)state;

    struct store_room *room = world_room(&world, "p", "before");
    assert_int_equal(put(&world, room, "k", "v"), STORE_OK);
    set_alarm(&world, room, 7, 1);
    store_room_release(room);
    snprintf(path, sizeof path, "%s/backup", world.files.root);
    start_loops(threads);
    back_up(&backup, path);
    end_loops(threads);
    assert_string_equal(backup.text, "");
    assert_int_equal(backup.result, STORE_OK);

    back_up(&backup, path); /* a name that is taken */
    assert_int_equal(backup.result, STORE_FAILED);
    assert_non_null(strstr(backup.text, "it is there already"));
    back_up(&backup, "/nowhere/at/all");
    assert_int_equal(backup.result, STORE_FAILED);
    assert_non_null(strstr(backup.text, "can't be made"));

    world_close(&world);
    snprintf(world.folder, sizeof world.folder, "%s/backup", world.files.root);
    world_open(&world);
    room = world_room(&world, "p", "before");
    expect_all(&world, room, "k=v");
    expect_head(&world, room, 7, 1, false, NULL);
    store_room_release(room);
    for (size_t i = 0; i < LOOPS * ROOMS; i++) {
        char id[16];
        struct span rest, key, a, b;
        snprintf(id, sizeof id, "%zu-%zu", i / ROOMS, i % ROOMS);
        room = world_room(&world, "p", id);
        struct store_read read = list_of(room);
        read_now(&world, &read);
        rest = (struct span){(char *)read.entries.data, read.entries.len};
        if (read.n_entries) {
            assert_int_equal(read.n_entries, 2);
            assert_true(store_next_bytes(&rest, &key) && store_next_bytes(&rest, &a));
            assert_true(store_next_bytes(&rest, &key) && store_next_bytes(&rest, &b));
            assert_true(span_equal(a, b));
        }
        buf_fini(&read.entries);
        store_room_release(room);
    }
}

int main(void)
{
#define ONE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define THREE(f) cmocka_unit_test_setup_teardown(f, set_up_three, tear_down)
    const struct CMUnitTest tests[] = {
        ONE(loops_share_a_store),
        THREE(loops_share_a_store),
        ONE(a_backup_is_made_while_rooms_write),
        THREE(a_backup_is_made_while_rooms_write),
    };
    alarm(300);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
