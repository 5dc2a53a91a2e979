/* The tests in Lua: each file of FESTA_TEST_LUA_DIR runs in a VM of its own, and again with one allocation
 * after the other failing, which may end it in any way but a crash, a leak or a panic. */
#include "script_driver.h"

#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A file is run again at most so often and for so long; the allocation that fails moves in steps. */
#define RUNS_MAX 800u
#define RUNS_NS ((uint64_t)5000 * NS_PER_MS)

static const char *folder(void)
{
    const char *folder = getenv("FESTA_TEST_LUA_DIR");
    assert_non_null(folder);
    return folder;
}

/* ---- one run ---- */

struct run {
    const char *name; /* of the file */
    struct buf prelude, source;
    enum call_result result;
    struct buf message; /* when it did not return */
};

static void read_file(const char *name, struct buf *out)
{
    char path[1024];
    struct stat info;

    assert_true(snprintf(path, sizeof path, "%s/%s", folder(), name) < (int)sizeof path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &info) == 0);
    assert_int_equal(buf_reserve(out, (size_t)info.st_size), 0);
    assert_int_equal(read(fd, out->data, (size_t)info.st_size), info.st_size);
    out->len = (size_t)info.st_size;
    close(fd);
}

static void run_chunk(lua_State *L, const struct buf *source, const char *name)
{
    lua_pushfstring(L, "@%s", name);
    if (luaL_loadbufferx(L, (const char *)source->data, source->len, lua_tostring(L, -1), "t") != LUA_OK)
        lua_error(L);
    lua_call(L, 0, 0);
    lua_pop(L, 1);
}

static int enter(lua_State *L)
{
    struct run *run = ((struct task *)lua_touserdata(L, 1))->data;

    if (run->prelude.len > 0)
        run_chunk(L, &run->prelude, "prelude.lua");
    run_chunk(L, &run->source, run->name);
    return 0;
}

static void done(struct task *task, enum call_result result)
{
    struct run *run = task->data;
    struct failure failure;

    run->result = result;
    if (result == CALL_DONE)
        return;
    call_failure(task, result, &failure);
    run->message = failure.message;
    failure.message = (struct buf){0};
    failure_fini(&failure);
}

/* An allocator before the VM's own: the allocation of one number fails, and so does Lua's second try of it
 * after a collection. */
struct failing {
    lua_Alloc alloc;
    void *user;
    uint64_t count, fail_at; /* fail_at 0: none */
};

static void *failing_alloc(void *user, void *block, size_t old_size, size_t new_size)
{
    struct failing *failing = user;

    if (new_size > (block ? old_size : 0)) {
        failing->count++;
        if (failing->count == failing->fail_at || failing->count == failing->fail_at + 1)
            return NULL;
    }
    return failing->alloc(failing->user, block, old_size, new_size);
}

/* Returns true if the allocation of this number was made, and failed. */
static bool run_once(struct script_driver *driver, struct run *run, uint64_t fail_at)
{
    struct failing failing = {.fail_at = fail_at};

    buf_fini(&run->message);
    struct vm *vm = vm_new(&driver->script, &driver->party, NULL);
    assert_non_null(vm);
    failing.alloc = lua_getallocf(vm->L, &failing.user);
    lua_setallocf(vm->L, failing_alloc, &failing);
    call_start(vm, "test", enter, NULL, run, done);
    vm_free(vm); /* checks that nothing is left of it */
    return fail_at > 0 && failing.count >= fail_at;
}

/* ---- files ---- */

static void run_file(struct script_driver *driver, const char *name, const struct buf *prelude)
{
    struct run run = {.name = name, .prelude = *prelude};
    uint64_t runs = 0, interrupted = 0;

    read_file(name, &run.source);
    uint64_t start = clock_monotonic_ns();
    run_once(driver, &run, 0);
    uint64_t took = clock_monotonic_ns() - start;
    if (run.result != CALL_DONE)
        fail_msg("%s: %.*s", name, (int)run.message.len, (const char *)run.message.data);
    uint64_t runs_max = took * RUNS_MAX > RUNS_NS ? RUNS_NS / took + 8 : RUNS_MAX;
    for (uint64_t fail_at = 1; runs < runs_max && run_once(driver, &run, fail_at); runs++) {
        interrupted += run.result != CALL_DONE;
        fail_at += 1 + fail_at * 10 / runs_max;
    }
    assert_true(interrupted > 0); /* it did fail */
    buf_fini(&run.source);
    buf_fini(&run.message);
}

static int is_test(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return len > 4 && strcmp(entry->d_name + len - 4, ".lua") == 0 &&
           strcmp(entry->d_name, "prelude.lua") != 0;
}

static void the_tests_in_lua(void **state)
{
    (void)state;
    struct script_driver driver;
    struct dirent **entries;
    struct buf prelude = {0};

    script_driver_init(&driver, folder());
    read_file("prelude.lua", &prelude);
    int n = scandir(folder(), &entries, is_test, alphasort);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        run_file(&driver, entries[i]->d_name, &prelude);
        free(entries[i]);
    }
    free(entries);
    buf_fini(&prelude);
    script_driver_fini(&driver);
}

/* ---- what takes more than one VM ---- */

static void run_source(struct script_driver *driver, const char *source, struct run *run)
{
    *run = (struct run){.name = "test.lua"};
    assert_int_equal(buf_append(&run->source, source, strlen(source)), 0);
    run_once(driver, run, 0);
    buf_fini(&run->source);
}

static void each_vm_has_a_seed_of_its_own(void **state)
{
    (void)state;
    struct script_driver driver;
    struct run first, second;
    static const char source[] = "error(tostring(math.random(0)))";

    script_driver_init(&driver, NULL);
    run_source(&driver, source, &first);
    run_source(&driver, source, &second);
    assert_int_equal(first.result, CALL_RAISED);
    assert_true(first.message.len > 0 && second.message.len > 0);
    assert_false(first.message.len == second.message.len &&
                 memcmp(first.message.data, second.message.data, first.message.len) == 0);
    buf_fini(&first.message);
    buf_fini(&second.message);
    script_driver_fini(&driver);
}

/* However little memory a room may have, making its VM fails cleanly or works. */
static void a_vm_that_gets_too_little_memory(void **state)
{
    (void)state;
    struct script_driver driver;
    size_t made = 0, failed = 0;

    script_driver_init(&driver, NULL);
    for (driver.project->config.limits.room_memory = 0; driver.project->config.limits.room_memory < 32 * 1024;
         driver.project->config.limits.room_memory += 48) {
        struct vm *vm = vm_new(&driver.script, &driver.party, NULL);
        made += vm != NULL;
        failed += vm == NULL;
        vm_free(vm);
    }
    assert_true(made > 0 && failed > 0);
    script_driver_fini(&driver);
}

static void lines_of_scripts_in_the_log(void **state)
{
    (void)state;
    struct script_driver driver;
    struct run run;
    char text[8192];
    static const char *const wanted[] = {
        "\"level\":\"info\",\"msg\":\"a\\t1\\tnil\\tnull\",\"party\":\"test\"}\n",
        "\"msg\":\"zero\\\\0byte\"",
        "\"level\":\"warn\",\"msg\":\"careful\"",
        "\"level\":\"error\",\"msg\":\"7\",\"party\":\"test\"}\n",
        /* by name */
        "\"_room\":\"mine\",\"id\":5,\"list\":[1,2],\"none\":null,\"ok\":true,\"ratio\":0.5}",
    };

    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(log_init(fd, LOG_INFO, LOG_JSON), 0);
    script_driver_init(&driver, NULL);
    run_source(&driver,
               "print('a', 1, nil, json.null) print('zero\\0byte')\n"
               "log.debug('hidden')\n"
               "log.warn('careful', { id = 5, ratio = 0.5, ok = true, list = { 1, 2 }, none = json.null, "
               "room = 'mine' })\n"
               "log.error(7)\n"
               "assert(not pcall(log.info, 'x', { f = print }))\n"
               "assert(not pcall(log.info, 'x', { 1 }))\n"
               "local many = {} for i = 1, 17 do many['f' .. i] = i end\n"
               "assert(not pcall(log.info, 'x', many))\n",
               &run);
    log_fini();
    if (run.result != CALL_DONE)
        fail_msg("%.*s", (int)run.message.len, (const char *)run.message.data);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        if (!strstr(text, wanted[i]))
            fail_msg("%s is not in\n%s", wanted[i], text);
    }
    assert_null(strstr(text, "hidden"));
    close(fd);
    script_driver_fini(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_scripts_in_the_log),
        cmocka_unit_test(each_vm_has_a_seed_of_its_own),
        cmocka_unit_test(a_vm_that_gets_too_little_memory),
        cmocka_unit_test(the_tests_in_lua),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
