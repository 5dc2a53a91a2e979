/*
 * bench_store - durable puts through the store beside SQLite alone with the same settings, tables and group commit.
 *
 *   bench_store [SECONDS [ROUNDS [FILES [BYTES]]]]     2 s for each run, 3 rounds, 1 file, values of 100 bytes
 *                                                        (500 at most: the store has larger ones elsewhere)
 *
 * Store: so many rooms on one loop, each puts a value, awaits that it is durable, and puts the next one. SQLite: one
 * thread puts as many values in each transaction, no rooms, no loop, nobody to tell. With one room it is the round
 * trip of a lone put beside a lone commit. Both by turns, since a disk's speed changes with time; medians at the end.
 * The folder is made in the current directory, and removed.
 */
#include "base/check.h"
#include "base/clock.h"
#include "store/sqlite_private.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define ROOMS_MAX 1000u
#define KEYS 100u
#define SAMPLES_MAX (1u << 22)
#define ROUNDS_MAX 32

static unsigned seconds = 2, rounds = 3, n_files = 1, value_size = 100;
static uint32_t *samples; /* ns of each put's round trip, or of each commit */
static size_t n_samples;
static uint64_t until;
static char *value;

static void sample(uint64_t start)
{
    if (n_samples < SAMPLES_MAX)
        samples[n_samples++] = (uint32_t)(clock_monotonic_ns() - start);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* in ms */
static double percentile(double part)
{
    if (n_samples == 0)
        return 0;
    return samples[(size_t)(part * (double)(n_samples - 1))] / 1e6;
}

/* A value that was never written before: SQLite leaves out what does not change a page. */
static struct span next_value(void)
{
    static uint64_t number;
    number++;
    memcpy(value, &number, sizeof number);
    return (struct span){value, value_size};
}

static struct span key_of(uint64_t number, char text[16])
{
    snprintf(text, 16, "key-%02u", (unsigned)(number % KEYS));
    return span_of(text);
}

/* ---- through the store ---- */

struct actor {
    struct store_room *room;
    struct store_batch batch;
    uint64_t n, start;
};

static struct actor actors[ROOMS_MAX];

static void on_kept(struct store_batch *batch, enum store_result result);

static void put(struct actor *actor)
{
    char key[16];

    actor->batch = (struct store_batch){.room = actor->room, .done = on_kept, .ops = actor->batch.ops};
    actor->batch.ops.len = 0;
    CHECK(store_batch_put(&actor->batch, key_of(actor->n, key), next_value()) == 0);
    actor->start = clock_monotonic_ns();
    store_submit(&actor->batch);
}

static void on_kept(struct store_batch *batch, enum store_result result)
{
    struct actor *actor = container_of(batch, struct actor, batch);

    CHECK(result == STORE_OK);
    sample(actor->start);
    actor->n++;
    if (clock_monotonic_ns() < until)
        put(actor);
}

/* Puts in a second. */
static double run_store(const char *folder, unsigned n_rooms)
{
    struct buf error = {0};
    struct loop loop;
    struct store *store;
    char id[16];
    uint64_t n = 0;

    CHECK(loop_init(&loop) == 0);
    if (store_open_sqlite(folder, n_files, &error, &store)) {
        fprintf(stderr, "%.*s\n", (int)error.len, (char *)error.data);
        exit(1);
    }
    for (unsigned i = 0; i < n_rooms; i++) {
        snprintf(id, sizeof id, "room-%u", i);
        actors[i] = (struct actor){.room = store_room_open(store, &loop, SPAN("bench"), span_of(id))};
    }
    uint64_t start = clock_monotonic_ns();
    until = start + (uint64_t)seconds * 1000000000u;
    for (unsigned i = 0; i < n_rooms; i++)
        put(&actors[i]);
    loop_run(&loop);
    double took = (double)(clock_monotonic_ns() - start) / 1e9;
    for (unsigned i = 0; i < n_rooms; i++) {
        n += actors[i].n;
        buf_fini(&actors[i].batch.ops);
        store_room_release(actors[i].room);
    }
    store_close(store);
    loop_fini(&loop);
    return (double)n / took;
}

/* ---- SQLite alone ---- */

static int frames;

static int count_frames(void *user, sqlite3 *db, const char *schema, int n)
{
    (void)user;
    (void)db;
    (void)schema;
    frames = n;
    return SQLITE_OK;
}

static double run_sqlite(const char *path, unsigned n_rooms)
{
    struct buf error = {0};
    sqlite3 *db;
    sqlite3_stmt *statements[WRITE_STATEMENTS];
    uint64_t n = 0;
    char key[16];

    CHECK(sqlite_connect(path, MODE_MAKE, &db, &error) == 0 && sqlite_schema(db, path, 1, 1, &error) == 0);
    CHECK(sqlite_prepare(db, sqlite_write_sql, WRITE_STATEMENTS, statements) == SQLITE_OK);
    (void)sqlite3_wal_hook(db, count_frames, NULL);
    sqlite3_stmt *insert = statements[WRITE_PUT];
    uint64_t start = clock_monotonic_ns(), now = start;
    until = start + (uint64_t)seconds * 1000000000u;
    for (uint64_t turn = 0; now < until; turn++) {
        CHECK(sqlite_run(statements[WRITE_BEGIN]) == SQLITE_OK);
        for (unsigned i = 0; i < n_rooms; i++, n++) {
            sqlite3_bind_int64(insert, 1, i + 1);
            sqlite_bind_blob(insert, 2, key_of(turn, key));
            sqlite_bind_blob(insert, 3, next_value());
            CHECK(sqlite_run(insert) == SQLITE_OK);
        }
        CHECK(sqlite_run(statements[WRITE_COMMIT]) == SQLITE_OK);
        sample(now);
        if (frames >= 16384)
            CHECK(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) == SQLITE_OK);
        now = clock_monotonic_ns();
    }
    double took = (double)(now - start) / 1e9;
    sqlite_finalize(statements, WRITE_STATEMENTS);
    sqlite3_close(db);
    return (double)n / took;
}

/* ---- by turns ---- */

static double median(double *values, unsigned n)
{
    for (unsigned i = 1; i < n; i++)
        for (unsigned j = i; j > 0 && values[j - 1] > values[j]; j--) {
            double swap = values[j];
            values[j] = values[j - 1];
            values[j - 1] = swap;
        }
    return values[n / 2];
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void compare(const char *root, unsigned n_rooms)
{
    double rate[2][ROUNDS_MAX], p50[2][ROUNDS_MAX];
    char path[512];

    for (unsigned round = 0; round < rounds; round++) {
        for (int which = 0; which < 2; which++) {
            n_samples = 0;
            frames = 0;
            double cpu = cpu_seconds();
            snprintf(path, sizeof path, which ? "%s/alone-%u.sqlite" : "%s/store-%u", root, n_rooms);
            rate[which][round] = which ? run_sqlite(path, n_rooms) : run_store(path, n_rooms);
            cpu = cpu_seconds() - cpu;
            qsort(samples, n_samples, sizeof *samples, by_size);
            p50[which][round] = percentile(0.5);
            printf("  %-7s %5u rooms: %8.0f puts/s, ms p50 %.3f p99 %.3f max %.1f, %.1f us of CPU a put\n",
                   which ? "SQLite" : "store", n_rooms, rate[which][round], percentile(0.5), percentile(0.99),
                   percentile(1), cpu * 1e6 / (rate[which][round] * seconds));
            fflush(stdout);
        }
    }
    double store = median(rate[0], rounds), alone = median(rate[1], rounds);
    double trip = median(p50[0], rounds), commit = median(p50[1], rounds);
    printf("%5u rooms: store %.0f, SQLite alone %.0f puts/s: %.2f; p50 %.3f and %.3f ms: %.2f\n", n_rooms,
           store, alone, store / alone, trip, commit, trip / commit);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static unsigned argument(int argc, char **argv, int index, unsigned usual, unsigned most)
{
    if (argc <= index)
        return usual;
    unsigned long number = strtoul(argv[index], NULL, 10);
    if (number < 1 || number > most) {
        fprintf(stderr, "bench_store [SECONDS [ROUNDS [FILES [BYTES]]]]\n");
        exit(2);
    }
    return (unsigned)number;
}

int main(int argc, char **argv)
{
    static const unsigned rooms[] = {1, 64, 1000};
    char root[] = "./bench-store-XXXXXX";

    seconds = argument(argc, argv, 1, seconds, 3600);
    rounds = argument(argc, argv, 2, rounds, ROUNDS_MAX);
    n_files = argument(argc, argv, 3, n_files, STORE_FILES_MAX);
    value_size = argument(argc, argv, 4, value_size, 500);
    value_size = value_size < 8 ? 8 : value_size;
    value = xcalloc(value_size);
    samples = xcalloc(SAMPLES_MAX * sizeof *samples);
    CHECK(mkdtemp(root));
    for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++)
        compare(root, rooms[i]);
    (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(samples);
    free(value);
    return 0;
}
