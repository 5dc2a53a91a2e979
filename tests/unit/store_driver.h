/* A store in a temporary folder, and its answers awaited: what the tests of the store layer share. */
#pragma once

#include "project_files.h"
#include "store/sqlite.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    struct project_files files;
    struct loop loop;
    struct store *store;
    char folder[128];
};

static inline void world_open_files(struct world *world, unsigned n_files)
{
    struct buf error = {0};
    int rc = store_open_sqlite(world->folder, n_files, false, &error, &world->store);
    if (rc)
        fail_msg("store_open_sqlite: %d: %.*s", rc, (int)error.len, (char *)error.data);
}

static inline void world_open(struct world *world)
{
    world_open_files(world, 1);
}

/* Nothing is opened yet. */
static inline void world_prepare(struct world *world)
{
    memset(world, 0, sizeof *world);
    project_files_init(&world->files);
    snprintf(world->folder, sizeof world->folder, "%s/data", world->files.root);
    assert_int_equal(loop_init(&world->loop), 0);
}

static inline void world_init(struct world *world, unsigned n_files)
{
    world_prepare(world);
    world_open_files(world, n_files);
}

static inline void world_close(struct world *world)
{
    store_close(world->store);
    world->store = NULL;
}

static inline void world_reopen(struct world *world)
{
    world_close(world);
    world_open(world);
}

static inline void world_fini(struct world *world)
{
    world_close(world);
    loop_fini(&world->loop);
    project_files_fini(&world->files);
}

/* A file of the data folder; valid until the next call. */
static inline const char *world_path(const struct world *world, const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", world->folder, name);
    return path;
}

/* Opening the folder fails with a line in which text is. */
static inline void world_refuses(struct world *world, const char *text)
{
    struct buf error = {0};
    assert_true(store_open_sqlite(world->folder, 1, false, &error, &world->store) < 0);
    assert_int_equal(buf_append(&error, "", 1), 0);
    if (!strstr((char *)error.data, text))
        fail_msg("\"%s\" is not in \"%s\"", text, (char *)error.data);
    assert_null(strchr((char *)error.data, '\n'));
    buf_fini(&error);
    assert_null(world->store);
}

static inline struct store_room *world_room(struct world *world, const char *party, const char *id)
{
    struct store_room *room = store_room_open(world->store, &world->loop, span_of(party), span_of(id));
    assert_non_null(room);
    return room;
}

/* ---- batches ---- */

static inline void batch_done(struct store_batch *batch, enum store_result result)
{
    assert_int_equal(batch->result, result);
    batch->done = NULL;
}

static inline struct store_batch batch_of(struct store_room *room)
{
    return (struct store_batch){.room = room, .done = batch_done};
}

/* Submits it, awaits it, and empties it for the next one. */
static inline enum store_result batch_keep(struct world *world, struct store_batch *batch)
{
    batch->done = batch_done;
    store_submit(batch);
    assert_non_null(batch->done); /* not from within */
    loop_run(&world->loop);
    assert_null(batch->done);
    assert_true((batch->result == STORE_OK) == (batch->text == NULL));
    batch->ops.len = 0;
    batch->n_ops = 0;
    return batch->result;
}

static inline enum store_result put_span(struct world *world, struct store_room *room, struct span key,
                                         struct span value)
{
    struct store_batch batch = batch_of(room);
    assert_int_equal(store_batch_put(&batch, key, value), 0);
    enum store_result result = batch_keep(world, &batch);
    buf_fini(&batch.ops);
    return result;
}

static inline enum store_result put(struct world *world, struct store_room *room, const char *key,
                                    const char *value)
{
    return put_span(world, room, span_of(key), span_of(value));
}

static inline void set_alarm(struct world *world, struct store_room *room, int64_t time, uint32_t attempt)
{
    struct store_batch batch = batch_of(room);
    assert_int_equal(store_batch_alarm(&batch, time, attempt), 0);
    assert_int_equal(batch_keep(world, &batch), STORE_OK);
    buf_fini(&batch.ops);
}

/* ---- reads ---- */

static inline void read_done(struct store_read *read)
{
    read->done = NULL;
}

/* Awaits the answer. */
static inline void read_now(struct world *world, struct store_read *read)
{
    buf_fini(&read->entries);
    read->done = read_done;
    store_read(read);
    assert_non_null(read->done);
    loop_run(&world->loop);
    assert_null(read->done);
}

static inline struct store_read list_of(struct store_room *room)
{
    return (struct store_read){.room = room, .kind = STORE_LIST};
}

/* The entries as text: "key=value key=value", "…" behind them if there are more. */
static inline void expect_entries(struct store_read *read, const char *expected)
{
    struct buf text = {0};
    struct span rest = {(char *)read->entries.data, read->entries.len}, key, value;
    uint32_t n = 0;

    assert_int_equal(read->result, STORE_OK);
    for (; store_next_bytes(&rest, &key); n++) {
        assert_true(store_next_bytes(&rest, &value));
        assert_int_equal(buf_printf(&text, "%s%.*s=%.*s", n ? " " : "", (int)key.len, key.ptr, (int)value.len,
                                    value.ptr),
                         0);
    }
    assert_int_equal(read->n_entries, n);
    assert_int_equal(buf_append(&text, read->more ? "…" : "", read->more ? sizeof "…" : 1), 0);
    assert_string_equal((char *)text.data, expected);
    buf_fini(&text);
    buf_fini(&read->entries);
}

/* All of the room. */
static inline void expect_all(struct world *world, struct store_room *room, const char *expected)
{
    struct store_read read = list_of(room);
    read_now(world, &read);
    expect_entries(&read, expected);
}

/* What the room holds beside its keys; self NULL: none. */
static inline void expect_head(struct world *world, struct store_room *room, int64_t time, uint32_t attempt,
                               bool empty, const char *self)
{
    struct store_read read = {.room = room, .kind = STORE_HEAD};
    struct span rest, value;

    read_now(world, &read);
    assert_int_equal(read.result, STORE_OK);
    assert_int_equal(read.alarm, time);
    assert_int_equal(read.attempt, attempt);
    assert_int_equal(read.empty, empty);
    rest = (struct span){(char *)read.entries.data, read.entries.len};
    assert_int_equal(read.n_entries, self ? 1 : 0);
    if (self) {
        assert_true(store_next_bytes(&rest, &value));
        assert_true(span_equal(value, span_of(self)));
    }
    assert_int_equal(rest.len, 0);
    buf_fini(&read.entries);
}

/* ---- searches ---- */

static inline void search_done(struct store_search *search)
{
    search->done = NULL;
}

/* Awaits the answer, and compares it: "party/id@alarm party/id@alarm". */
static inline void expect_found(struct world *world, struct store_search search, const char *expected)
{
    struct buf text = {0};
    struct store_found found;
    uint32_t n = 0;

    search.store = world->store;
    search.loop = &world->loop;
    search.done = search_done;
    store_search(&search);
    loop_run(&world->loop);
    assert_null(search.done);
    assert_int_equal(search.result, STORE_OK);
    struct span rest = {(char *)search.found.data, search.found.len};
    for (; store_next_found(&rest, &found); n++) {
        assert_int_equal(buf_printf(&text, "%s%.*s/%.*s@%lld", n ? " " : "", (int)found.party.len,
                                    found.party.ptr, (int)found.id.len, found.id.ptr, (long long)found.alarm),
                         0);
        if (search.kind == STORE_USAGE)
            assert_int_equal(buf_printf(&text, ":%llu,%llu", (unsigned long long)found.keys,
                                        (unsigned long long)found.bytes),
                             0);
    }
    assert_int_equal(search.n_found, n);
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_string_equal((char *)text.data, expected);
    buf_fini(&text);
    buf_fini(&search.found);
}
