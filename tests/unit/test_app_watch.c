/* app: what counts as a change of a project on disk. */
#include "app/watch.h"

#include "project_files.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

#include <utime.h>

#define DEADLINE_NS ((uint64_t)60000 * NS_PER_MS)

struct world {
    struct project_files files;
    struct loop loop;
    struct watch *watch;
    int n_changes;
    char config_path[PATH_MAX];
};

static void on_change(void *user)
{
    ((struct world *)user)->n_changes++;
}

#define WAIT(world, condition)                                                                               \
    do {                                                                                                     \
        uint64_t deadline_ = clock_monotonic_ns() + DEADLINE_NS;                                             \
        while (!(condition)) {                                                                               \
            assert_true(clock_monotonic_ns() < deadline_);                                                   \
            loop_step(&(world)->loop);                                                                       \
        }                                                                                                    \
    } while (0)

/* Nothing is about to be looked at. */
static bool is_idle(const struct world *world)
{
    return world->loop.n_timers == 0 && world->loop.n_jobs == 0;
}

/* config: a configuration of that name in the project's folder, or NULL. */
static struct world *begin(const char *config)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    project_files_init(&world->files);
    project_files_write(&world->files, "parties/main.lua", "return {}");
    project_files_write(&world->files, "parties/game/init.lua", "return {}");
    project_files_write(&world->files, "lib/deep/er/words.lua", "return {}");
    project_files_write(&world->files, "public/index.html", "hello");
    project_files_write(&world->files, "lib/node_modules/x.lua", "");
    project_files_write(&world->files, "parties/.hidden/x.lua", "");
    if (config)
        snprintf(world->config_path, sizeof world->config_path, "%s",
                 project_files_path(&world->files, config));
    assert_int_equal(loop_init(&world->loop), 0);
    world->watch =
        watch_open(&world->loop, world->files.root, config ? world->config_path : NULL, on_change, world);
    return world;
}

static void end(struct world *world)
{
    watch_close(world->watch);
    WAIT(world, world->loop.n_jobs == 0);
    loop_fini(&world->loop);
    project_files_fini(&world->files);
    free(world);
}

/* Exactly one change has been told since the last time. */
static void expect_change(struct world *world)
{
    WAIT(world, world->n_changes > 0);
    WAIT(world, is_idle(world));
    assert_int_equal(world->n_changes, 1);
    world->n_changes = 0;
}

/* What was done was noticed, looked at, and is no change. */
static void expect_none(struct world *world)
{
    WAIT(world, world->loop.n_timers > 0);
    WAIT(world, is_idle(world));
    assert_int_equal(world->n_changes, 0);
}

static void move(struct world *world, const char *from, const char *to)
{
    char path[PATH_MAX];
    strcpy(path, project_files_path(&world->files, from));
    assert_int_equal(rename(path, project_files_path(&world->files, to)), 0);
}

static void remove_folder(struct world *world, const char *name)
{
    struct project_files folder;
    strcpy(folder.root, project_files_path(&world->files, name));
    project_files_fini(&folder);
}

static void files_of_a_project(void **state)
{
    (void)state;
    static const char *const names[] = {"parties/main.lua",     "parties/new.lua", "parties/game/init.lua",
                                        "parties/game/x.lua",   "lib/new.lua",     "lib/deep/er/words.lua",
                                        "lib/deep/new.lua",     "festa.lua",       ".env",
                                        "parties/new/init.lua", "lib/a/b/c/d.lua"};
    struct world *world = begin(NULL);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        project_files_write(&world->files, names[i], "return { 1 }");
        expect_change(world);
        project_files_write(&world->files, names[i], "return { 2 }"); /* those that were new, too */
        expect_change(world);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(unlink(project_files_path(&world->files, names[i])), 0);
        expect_change(world);
    }
    end(world);
}

static void what_is_no_change(void **state)
{
    (void)state;
    static const char *const ignored[] = {
        "public/index.html",      "public/x.lua",          "readme.lua",         ".git/index",
        "lib/node_modules/x.lua", "parties/.hidden/x.lua", "node_modules/x.lua", ".festa/data"};
    struct world *world = begin(NULL);

    assert_int_equal(utime(project_files_path(&world->files, "parties/main.lua"), NULL), 0);
    expect_none(world);
    project_files_write(&world->files, "parties/main.lua", "return {}"); /* the same */
    expect_none(world);
    project_files_write(&world->files, "parties/main.lua.swp", "x");
    expect_none(world);
    project_files_write(&world->files, "parties/.#main.lua", "x");
    expect_none(world);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        project_files_write(&world->files, ignored[i], "return { 2 }");
    project_files_write(&world->files, "parties/main.lua", "return { 3 }");
    expect_change(world);
    end(world);
}

/* A new file over the old one; the old one away and a new one in its place; cut and written bit by bit. */
static void ways_to_save(void **state)
{
    (void)state;
    struct world *world = begin(NULL);

    for (int i = 0; i < 3; i++) {
        char text[32];
        snprintf(text, sizeof text, "return { %d }", i);
        project_files_write(&world->files, "parties/main.lua~", text);
        move(world, "parties/main.lua~", "parties/main.lua");
        expect_change(world);

        move(world, "parties/main.lua", "parties/main.lua.bak");
        project_files_write(&world->files, "parties/main.lua", text + 1);
        expect_change(world);

        for (size_t len = 0; len <= strlen(text); len++)
            project_files_write_bytes(&world->files, "parties/main.lua", text, len);
        expect_change(world);
    }
    end(world);
}

/* Folders that are replaced as a whole, as git does; one that was not there. */
static void folders_that_come_and_go(void **state)
{
    (void)state;
    struct world *world = begin(NULL);

    for (int i = 0; i < 3; i++) {
        move(world, "parties", "before");
        expect_change(world);
        move(world, "before", "parties");
        expect_change(world);
        move(world, "lib/deep", "away");
        expect_change(world);
        project_files_write(&world->files, "lib/deep/er/words.lua", "return { 'other' }");
        expect_change(world);
        project_files_write(&world->files, "lib/deep/er/words.lua", "return { 'another' }");
        expect_change(world);
        remove_folder(world, "away");
    }
    end(world);
}

/* What is served lies in the folder that was there at the last change. */
static void the_folder_of_static_files(void **state)
{
    (void)state;
    struct world *world = begin(NULL);

    for (int i = 0; i < 3; i++) {
        move(world, "public", "before");
        expect_change(world);
        project_files_write(&world->files, "public/index.html", "2");
        expect_change(world);
        remove_folder(world, "before");
    }
    for (int i = 0; i < 3; i++) {
        remove_folder(world, "public");
        project_files_write(&world->files, "public/index.html",
                            "3"); /* often with the number of the one before */
        expect_change(world);
    }
    end(world);
}

/* It lies where the configuration says, which may change; all or some of the way to it may come later. */
static void a_named_folder_of_static_files(void **state)
{
    (void)state;
    struct world *world = begin(NULL);

    project_files_write(&world->files, "festa.lua", "return { public = 'web/out/dist' }");
    expect_change(world);
    project_files_write(&world->files, "web/out/dist/index.html", "1");
    expect_change(world);
    for (int i = 0; i < 3; i++) {
        remove_folder(world, "web/out/dist");
        project_files_write(&world->files, "web/out/dist/index.html", "2");
        expect_change(world);
        move(world, "web", "before");
        expect_change(world);
        move(world, "before", "web");
        expect_change(world);
    }
    project_files_write(&world->files, "web/out/dist/index.html", "3");
    move(world, "public", "before"); /* which nobody serves */
    project_files_write(&world->files, "festa.lua", "return { public = 'site' }");
    expect_change(world);
    project_files_write(&world->files, "site/index.html", "1");
    expect_change(world);
    end(world);
}

/* Links are followed, inside of the project or not; a circle ends. */
static void links_to_folders(void **state)
{
    (void)state;
    struct world *world = begin(NULL);

    project_files_link(&world->files, "lib/circle", "..");
    expect_none(world);
    project_files_write(&world->files, "common/words.lua", "return {}");
    project_files_link(&world->files, "lib/common", "../common");
    expect_change(world);
    project_files_write(&world->files, "common/words.lua", "return { 1 }");
    expect_change(world);
    end(world);
}

static void links_to_scripts(void **state)
{
    (void)state;
    struct world *world = begin(NULL);

    project_files_write(&world->files, "common/words.lua", "return {}");
    project_files_write(&world->files, "shared.lua",
                        "return {}"); /* in a folder that is watched for other names */
    project_files_link(&world->files, "lib/words.lua", "../common/words.lua");
    expect_change(world);
    project_files_link(&world->files, "parties/shared.lua", "../shared.lua");
    expect_change(world);
    project_files_link(&world->files, "parties/two.lua",
                       "../lib/deep/er/words.lua"); /* whose folder is looked at too */
    expect_change(world);
    for (int i = 0; i < 3; i++) {
        char text[32];
        snprintf(text, sizeof text, "return { %d }", i);
        project_files_write(&world->files, "common/words.lua", text);
        expect_change(world);
        project_files_write(&world->files, "common/words.lua~", text + 1);
        move(world, "common/words.lua~", "common/words.lua");
        expect_change(world);
        project_files_write(&world->files, "shared.lua", text);
        expect_change(world);
        project_files_write(&world->files, "lib/deep/er/words.lua", text);
        expect_change(world);
    }
    end(world);
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)) != NULL; text++)
        n++;
    return n;
}

/* The log is about one folder that is not watched, and says why. */
static void expect_warning(FILE *file, const char *why)
{
    char log[16 * 1024] = "";

    log_fini();
    assert_true(pread(fileno(file), log, sizeof log - 1, 0) > 0);
    assert_int_equal(count(log, "a folder can't be watched"), 1);
    assert_non_null(strstr(log, why));
    fclose(file);
}

/* What is deeper, or more, than is watched is said once. */
static void what_is_left_out(void **state)
{
    (void)state;
    char name[128] = "lib";
    FILE *file = tmpfile();
    assert_int_equal(log_init(fileno(file), LOG_WARN, LOG_JSON), 0);
    struct world *world = begin(NULL);

    for (int i = 0; i < 17; i++) {
        strcat(name, i < 16 ? "/d" : "/too-deep");
        project_files_write(&world->files, strcat(name, "/x.lua"), "return {}");
        *strrchr(name, '/') = '\0';
        project_files_write(&world->files, "lib/x.lua", i % 2 ? "return {}" : "");
        expect_change(world);
    }
    expect_warning(file, "/d/too-deep\",\"error\":\"it lies too deep");
    watch_close(world->watch);

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "lib/%d/x.lua", i);
        project_files_write(&world->files, name, "");
    }
    file = tmpfile();
    assert_int_equal(log_init(fileno(file), LOG_WARN, LOG_JSON), 0);
    world->watch = watch_open(&world->loop, world->files.root, NULL, on_change, world);
    expect_warning(file, "there are too many others");
    end(world);
}

static void another_configuration(void **state)
{
    (void)state;
    struct world *world = begin("settings/dev.lua");

    WAIT(world, is_idle(world));
    project_files_write(&world->files, "parties/main.lua", "return { 1 }");
    expect_change(world);
    end(world);

    world = begin("dev.lua");
    project_files_write(&world->files, "dev.lua", "return {}");
    expect_change(world);
    project_files_write(&world->files, "festa.lua", "return {}");
    expect_none(world);
    end(world);
}

/* The folder of a configuration that lies elsewhere is watched too. */
static void a_configuration_elsewhere(void **state)
{
    (void)state;
    struct project_files other;
    struct world *world = begin(NULL);

    project_files_init(&other);
    project_files_write(&other, "dev.lua", "return {}");
    watch_close(world->watch);
    snprintf(world->config_path, sizeof world->config_path, "%s/dev.lua", other.root);
    world->watch = watch_open(&world->loop, world->files.root, world->config_path, on_change, world);
    project_files_write(&other, "dev.lua", "return { port = 1 }");
    expect_change(world);
    end(world);
    project_files_fini(&other);
}

/* Closed with a change under way. */
static void closed_in_between(void **state)
{
    (void)state;
    struct world *world = begin(NULL);

    project_files_write(&world->files, "parties/main.lua", "return { 1 }");
    WAIT(world, world->loop.n_timers > 0);
    watch_close(world->watch);
    world->watch = NULL;
    loop_step(&world->loop);
    assert_int_equal(world->n_changes, 0);
    end(world);

    world = begin(NULL);
    for (int i = 0; world->loop.n_jobs == 0; i++) { /* until it is caught looking */
        project_files_write(&world->files, "parties/main.lua", i % 2 ? "return { 1 }" : "return { 2 }");
        WAIT(world, world->loop.n_jobs > 0 || world->n_changes > i);
    }
    int n_changes = world->n_changes;
    watch_close(world->watch);
    world->watch = NULL;
    WAIT(world, world->loop.n_jobs == 0);
    assert_int_equal(world->n_changes, n_changes);
    end(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_a_project),
        cmocka_unit_test(what_is_no_change),
        cmocka_unit_test(ways_to_save),
        cmocka_unit_test(folders_that_come_and_go),
        cmocka_unit_test(the_folder_of_static_files),
        cmocka_unit_test(a_named_folder_of_static_files),
        cmocka_unit_test(links_to_folders),
        cmocka_unit_test(links_to_scripts),
        cmocka_unit_test(what_is_left_out),
        cmocka_unit_test(another_configuration),
        cmocka_unit_test(a_configuration_elsewhere),
        cmocka_unit_test(closed_in_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
