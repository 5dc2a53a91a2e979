/* party.storage in rooms with their real scripts: on real files, and with a store whose disk does what the test
 * says. */
#include "script_world.h"

#include "fake_store.h"
#include "room/data_private.h"
#include "script/value.h"

static void storage_is_checked(void **state)
{
    (void)state;
    struct world *world = world_of_file("storage.lua");
    world_open_store(world);
    world_run_tests(world);
    world_quiet(world);
    world->said.len = 0;
    world_end(world);
}

/* ---- a room that runs what it is told as Lua, and sends or answers what that returns ---- */

static const char runs[] = "local P = {}\n"
                           "function run(code, self)\n"
                           "  storage, kept = party.storage, self\n"
                           "  return assert(load(code, '=said', 't'))()\n"
                           "end\n"
                           "function P:onMessage(message, c)\n"
                           "  local result = run(message, self)\n"
                           "  if result ~= nil then c:send(tostring(result)) end\n"
                           "end\n"
                           "function P:onRequest(request) return tostring(run(request.body, self)) end\n"
                           "function P:onStop() party.storage.put('stopped', true) end\n"
                           "return P\n";

static struct asked *run(struct world *world, const char *id, const char *code)
{
    char head[64];
    snprintf(head, sizeof head, "POST /parties/main/%s", id);
    return world_ask(world_room(world, id), head, code);
}

static struct asked *ran(struct world *world, const char *id, const char *code)
{
    struct asked *asked = run(world, id, code);
    world_wait(world, asked->n_answers > 0);
    return asked;
}

static void what_is_stored_outlives_rooms_and_stores(void **state)
{
    (void)state;
    struct world *world = world_of(runs);

    world_open_store(world);
    world_answered(ran(world, "r", "storage.put('k', { 1, a = 'x' }) storage.setAlarm(5e12) return 1"), 200,
                   "1");
    world_answered(ran(world, "s", "storage.put('k', 'other') return 1"), 200, "1");
    world_stop(world);
    world_end_rooms(world);
    store_close(world->store);
    world_open_store(world);
    world_begin_rooms(world);
    world_answered(ran(world, "r",
                       "return storage.get('k').a .. storage.getAlarm() .. tostring(storage.get('stopped'))"),
                   200, "x5000000000000true");
    world_answered(ran(world, "s", "return storage.get('k')"), 200, "other");
    world_answered(ran(world, "t", "return storage.get('k')"), 200, "nil");
    world_quiet(world);
    world_end(world);
}

static void where_there_is_no_room_or_no_store(void **state)
{
    (void)state;
    struct world *world = world_of(
        "local P = {}\n"
        "local ok, message = pcall(function() return party.storage.get('k') end)\n"
        "function P:onRequest(r)\n"
        "  if r.subpath == '/scope' then return tostring(ok) end\n"
        "  local out = {}\n"
        "  for _, call in ipairs({ { 'get', 'k' }, { 'get', { 'k' } }, { 'put', 'k', 1 }, { 'delete', 'k' "
        "},\n"
        "      { 'deleteAll' }, { 'setAlarm', 5e12 }, { 'getAlarm' }, { 'deleteAlarm' },\n"
        "      { 'transaction', print } }) do\n"
        "    local _, err = pcall(party.storage[call[1]], table.unpack(call, 2))\n"
        "    if err ~= 'there is no storage here' then out[#out + 1] = call[1] .. tostring(err) end\n"
        "  end\n"
        "  party.storage.sync()\n"
        "  return table.concat(out, ' ')\n"
        "end\n"
        "return P\n");
    struct room *room = world_room(world, "r");

    world_answered(world_answer(room, "GET /parties/main/r/scope", NULL), 200, "false");
    world_answered(world_answer(room, "GET /parties/main/r", NULL), 200, "");
    world_quiet(world);
    world_end(world);
}

/* ---- with a store of the test's ---- */

struct disk {
    struct world *world;
    struct fake_store store;
};

static void disk_begin(struct disk *disk)
{
    disk->world = world_of(runs);
    fake_store_init(&disk->store);
    disk->world->rooms.store = &disk->store.base;
}

static void disk_settle(struct disk *disk)
{
    do {
        fake_store_settle(&disk->store);
        world_settle(disk->world);
    } while (!list_empty(&disk->store.batches) || !list_empty(&disk->store.reads));
}

static void disk_end(struct disk *disk)
{
    disk_settle(disk);
    rooms_drop(&disk->world->rooms);
    fake_store_settle(&disk->store);
    world_end(disk->world);
    fake_store_fini(&disk->store);
}

/* Runs it and all that it waits for. */
static struct asked *disk_ran(struct disk *disk, const char *code)
{
    struct asked *asked = run(disk->world, "r", code);
    for (int i = 0; i < 10000 && asked->n_answers == 0; i++)
        disk_settle(disk);
    return asked;
}

static void a_batch_fails(void **state)
{
    (void)state;
    struct disk disk;
    disk_begin(&disk);
    struct world *world = disk.world;

    world_answered(disk_ran(&disk, "storage.put('k', 1) kept.memory = 'here' return 1"), 200, "1");
    struct world_peer *anna = world_connect(world_room(world, "r"), "anna");
    world_settle(world);
    world_expect(world, "anna in");
    struct asked *sleeping = run(world, "r", "sleep(1000000)");
    struct asked *gated = run(world, "r", "storage.put('k', 2) party.broadcast('never') return 'never'");
    struct asked *reading = run(world, "r", "storage.put('k', 3) storage.get('x') return 'never'");
    struct asked *waiting = run(world, "r", "return tostring(storage.get('k')) .. tostring(kept.memory)");
    world_settle(world);
    fake_store_end(&disk.store, fake_store_next(&disk.store, NULL), STORE_FAILED);
    world_settle(world);
    world_answered(sleeping, 503, "Service unavailable");
    world_answered(gated, 503, "Service unavailable");
    world_answered(reading, 503, "Service unavailable");
    assert_int_equal(waiting->n_answers, 0);
    world_expect(world, "anna closed 1011 Internal error");
    disk_settle(&disk);
    world_answered(waiting, 200, "1nil"); /* from what is stored, without memory */
    world_logged(world, "what a room has written could not be stored", "the disk is full", "\"room\":\"r\"");
    (void)anna;
    disk_end(&disk);
}

/* A read that fails raises, where the script can catch it. */
static void a_read_fails(void **state)
{
    (void)state;
    static const char *const reads[] = {"storage.get, 'x'",    "storage.get, { 'x' }",
                                        "storage.delete, 'x'", "storage.delete, { 'x' }",
                                        "storage.list()",      "storage.getAlarm"};
    struct disk disk;
    disk_begin(&disk);
    char code[200];

    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        snprintf(code, sizeof code, "local _, e = pcall(%s) return e", reads[i]);
        struct asked *asked = run(disk.world, "r", code);
        world_settle(disk.world);
        assert_true(fake_store_answer(&disk.store, STORE_FAILED));
        world_settle(disk.world);
        world_answered(asked, 200, "the room's storage could not be read: the disk can't be read");
    }
    world_answered(disk_ran(&disk, "return storage.get('x')"), 200, "nil");
    disk_end(&disk);
}

/* Bytes that no script of this version has written. */
static void what_is_stored_is_damaged(void **state)
{
    (void)state;
    struct disk disk;
    disk_begin(&disk);
    const char *said = "what is stored under \"k\" is damaged, or was written by a later version";

    fake_apply_put(&disk.store, "r", SPAN("k"), SPAN("\xff\xff"));
    world_answered(disk_ran(&disk, "local _, e = pcall(storage.get, 'k') return e"), 200, said);
    world_answered(disk_ran(&disk, "local _, e = pcall(storage.get, { 'k' }) return e"), 200, said);
    world_answered(disk_ran(&disk, "local _, e = pcall(storage.list()) return e"), 200, said);
    world_answered(disk_ran(&disk, "return storage.delete('k')"), 200, "true");
    disk_end(&disk);
}

/* Who writes faster than the disk waits for it, in puts and before transactions. */
static void a_slow_disk(void **state)
{
    (void)state;
    static const char *const writes[] = {
        "storage.put('k', part)",
        "storage.put({ a = part })",
        "storage.transaction(function(txn) txn.put('k', part) end)",
    };
    char code[300];

    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        struct disk disk;
        disk_begin(&disk);
        snprintf(code, sizeof code,
                 "local part = ('x'):rep(300000) for i = 1, 30 do %s sleep(0) end return 'done'", writes[i]);
        struct asked *asked = run(disk.world, "r", code);
        size_t most = 0;
        while (asked->n_answers == 0) {
            for (int k = 0; k < 20; k++)
                world_settle(disk.world);
            most = disk.store.n_batches > most ? disk.store.n_batches : most;
            struct store_batch *batch = fake_store_next(&disk.store, NULL);
            if (batch)
                fake_store_end(&disk.store, batch, STORE_OK);
        }
        world_answered(asked, 200, "done");
        assert_in_range(most, 3, 6);
        disk_end(&disk);
    }
}

/* ---- hostile ---- */

/* Iterators that are kept, each with much in C behind it. */
static void iterators_are_charged(void **state)
{
    (void)state;
    static const char *const each[] = {
        "storage.list({ prefix = large })",
        "storage.list({ start = large, finish = large .. 'x' })",
        "storage.list({ startAfter = large })",
        "(function() local it = storage.list() it() return it end)()",
        "storage.list()",
    };
    char code[600];

    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        struct world *world = world_begin();
        world->config.limits.room_memory = 2 << 20;
        project_files_write(&world->files, "parties/main.lua", runs);
        world_open(world);
        world_open_store(world);
        world_answered(ran(world, "r", "storage.put('a', ('x'):rep(200000)) storage.put('b', 1) return 1"),
                       200, "1");
        snprintf(code, sizeof code,
                 "local large, all = ('x'):rep(100000), {} kept.n = 0\n"
                 "while kept.n < 100000 do all[kept.n + 1] = %s kept.n = kept.n + 1 end",
                 each[i]);
        assert_int_equal(ran(world, "r", code)->status, 500);
        world_logged(world, "the room's memory is used up");
        snprintf(code, sizeof code, "return kept.n < %d and 'early' or kept.n", i == 4 ? 20000 : 30);
        world_answered(ran(world, "r", code), 200, "early");
        world_answered(ran(world, "r", "for _ in storage.list() do end return 'well'"), 200, "well");
        struct vm *vm = world_vm(world_room(world, "r"));
        vm_collect(vm);
        assert_true(vm->used < (1 << 20));
        world_log(world);
        world_end(world);
    }
}

/* Much more is stored than the room may have in memory. However it is read, neither its VM nor what C keeps of it
 * grows beyond a bound. */
static void much_is_read_in_parts(void **state)
{
    (void)state;
    static const char *const reads[] = {
        "local keys = {} for i = 1, 200 do keys[i] = 'k' .. i end return #storage.get(keys)",
        "local n = 0 for i = 1, 200 do n = n + #storage.get('k' .. i) end return n",
        "local n = 0 for _, value in storage.list() do n = n + #value end return n",
        "local keys = {} for i = 1, 200 do keys[i] = 'k' .. i end return storage.delete(keys)",
    };
    static const char *const answers[] = {"not enough memory", "200000000", "200000000", "200"};
    struct disk disk;
    disk_begin(&disk);
    static char value[1000005] = {VALUE_VERSION, (char)0xa5, (char)0xc0, (char)0x84,
                                  0x3d}; /* and a million bytes */
    char key[16], code[300];

    for (int i = 1; i <= 200; i++) {
        snprintf(key, sizeof key, "k%d", i);
        fake_apply_put(&disk.store, "r", span_of(key), (struct span){value, sizeof value});
    }
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        size_t most = 0;
        snprintf(code, sizeof code, "local _, x = pcall(function() %s end) return x", reads[i]);
        struct asked *asked = run(disk.world, "r", code);
        while (asked->n_answers == 0) {
            world_settle(disk.world);
            struct store_batch *batch = fake_store_next(&disk.store, NULL);
            if (batch)
                fake_store_end(&disk.store, batch, STORE_OK);
            if (fake_store_answer(&disk.store, STORE_OK)) {
                size_t size = world_room(disk.world, "r")->data->known.size;
                most = size > most ? size : most;
            }
        }
        assert_true(most < 4000000); /* what is kept, what has come, and not more */
        world_answered(asked, 200, answers[i]);
    }
    disk_end(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storage_is_checked),
        cmocka_unit_test(what_is_stored_outlives_rooms_and_stores),
        cmocka_unit_test(where_there_is_no_room_or_no_store),
        cmocka_unit_test(a_batch_fails),
        cmocka_unit_test(a_read_fails),
        cmocka_unit_test(what_is_stored_is_damaged),
        cmocka_unit_test(a_slow_disk),
        cmocka_unit_test(iterators_are_charged),
        cmocka_unit_test(much_is_read_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
