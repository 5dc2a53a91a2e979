/*
 * sqlite - what SQLite alone can do of the work that party.storage does for parties/store.lua: puts by so many
 * writers, each of which has so many outstanding and gives the next ones when those are durable. All that are
 * outstanding are one transaction. No rooms, no Lua, no sockets, no other thread: what Festa adds is what it is slower
 * by.
 *
 *     sqlite WRITERS OUTSTANDING VALUE_BYTES SECONDS WARM_UP_SECONDS FOLDER
 *
 * prints figures under partyload's names. The file is set up as src/store does it, but for the VFS: SQLite's own.
 */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define KEYS 16          /* of a writer, in turn; parties/store.lua has as many */
#define GROUP_MAX 2000   /* puts in one transaction */
#define WAL_FRAMES 16384 /* a checkpoint follows */
#define SAMPLES (1u << 22)

static sqlite3 *db;
static sqlite3_stmt *begin, *put, *commit;
static int frames;
static char *value;
static size_t size;
static uint64_t *samples; /* ns of each group */
static size_t n_samples;

static void check(int rc, const char *what)
{
    if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
        return;
    fprintf(stderr, "%s: %s\n", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void cpu(double *all, double *user)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    *user = (double)r.ru_utime.tv_sec + (double)r.ru_utime.tv_usec / 1e6;
    *all = *user + (double)r.ru_stime.tv_sec + (double)r.ru_stime.tv_usec / 1e6;
}

static int on_commit(void *user, sqlite3 *from, const char *schema, int n)
{
    (void)user, (void)from, (void)schema;
    frames = n;
    return SQLITE_OK;
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *statement;
    check(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL), sql);
    return statement;
}

static void open_file(const char *folder)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/alone.sqlite", folder);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    check(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL),
          path);
    check(sqlite3_exec(db,
                       "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
                       "PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=FAST;"
                       "CREATE TABLE entry(room INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,"
                       " PRIMARY KEY(room, key)) WITHOUT ROWID",
                       NULL, NULL, NULL),
          "the file");
    sqlite3_wal_hook(db, on_commit, NULL);
    begin = prepare("BEGIN IMMEDIATE");
    commit = prepare("COMMIT");
    put = prepare("INSERT INTO entry(room, key, value) VALUES(?1, ?2, ?3)"
                  " ON CONFLICT(room, key) DO UPDATE SET value = excluded.value");
}

static void run(sqlite3_stmt *statement)
{
    check(sqlite3_step(statement), sqlite3_sql(statement));
    sqlite3_reset(statement);
}

/* SQLite leaves a page alone whose bytes do not change, so all values are different. */
static void write_one(unsigned writer, uint64_t number)
{
    char key[16], stamp[40];
    int key_len = snprintf(key, sizeof key, "key-%u", (unsigned)(number % KEYS));
    int len = snprintf(stamp, sizeof stamp, "@%016llx%08x", (unsigned long long)number, writer);

    memcpy(value, stamp, (size_t)len);
    sqlite3_bind_int64(put, 1, writer);
    sqlite3_bind_blob(put, 2, key, key_len, SQLITE_STATIC);
    sqlite3_bind_blob64(put, 3, value, size, SQLITE_STATIC);
    run(put);
}

/* The writers from first on, n of them: each one's puts from that number on. */
static void write_group(unsigned first, unsigned n, unsigned outstanding, uint64_t number)
{
    run(begin);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned j = 0; j < outstanding; j++)
            write_one(first + i, number + j);
    }
    run(commit);
    if (frames >= WAL_FRAMES)
        check(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL), "a checkpoint");
}

/* For so long; returns how many puts. */
static uint64_t write_for(unsigned writers, unsigned outstanding, double seconds)
{
    static uint64_t number;
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), puts = 0;
    unsigned most = GROUP_MAX / outstanding;

    n_samples = 0;
    for (; now_ns() < end; number += outstanding) {
        for (unsigned first = 0; first < writers; first += most) {
            unsigned n = writers - first < most ? writers - first : most;
            uint64_t before = now_ns();
            write_group(first, n, outstanding, number);
            if (n_samples < SAMPLES)
                samples[n_samples++] = now_ns() - before;
            puts += n * outstanding;
        }
    }
    return puts;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double quantile_us(double q)
{
    return n_samples ? (double)samples[(size_t)(q * (double)(n_samples - 1))] / 1e3 : 0;
}

int main(int argc, char **argv)
{
    double cpu0, cpu1, user0, user1;

    unsigned writers = argc == 7 ? (unsigned)atoi(argv[1]) : 0;
    unsigned outstanding = argc == 7 ? (unsigned)atoi(argv[2]) : 0;
    size = argc == 7 ? (size_t)atoi(argv[3]) : 0;
    if (writers == 0 || outstanding == 0 || outstanding > GROUP_MAX || size < 32) {
        fprintf(stderr, "usage: sqlite WRITERS OUTSTANDING VALUE_BYTES SECONDS WARM_UP_SECONDS FOLDER\n");
        return 2;
    }
    value = malloc(size);
    samples = malloc(SAMPLES * sizeof *samples);
    if (!value || !samples)
        return 1;
    memset(value, '.', size);
    open_file(argv[6]);
    write_for(writers, outstanding, atof(argv[5]));
    cpu(&cpu0, &user0);
    uint64_t started = now_ns(), puts = write_for(writers, outstanding, atof(argv[4]));
    double secs = (double)(now_ns() - started) / 1e9;
    cpu(&cpu1, &user1);
    qsort(samples, n_samples, sizeof *samples, by_size);
    printf("{\"messages_per_s\": %.6g, \"p50_us\": %.6g, \"p99_us\": %.6g, \"server_cpu_pct\": %.6g,"
           " \"server_user_pct\": %.6g, \"cpu_s_per_M\": %.6g, \"client_cpu_pct\": 0, \"errors\": 0}\n",
           (double)puts / secs, quantile_us(0.5), quantile_us(0.99), (cpu1 - cpu0) / secs * 100,
           (user1 - user0) / secs * 100, (cpu1 - cpu0) / ((double)puts / 1e6));
    return 0;
}
