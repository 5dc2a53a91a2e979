/* Sources that are too much to compile, or to keep compiled. */
#include "project_files.h"

#include "script/project.h"

static struct project_files files;
static struct project *project;
static struct buf error;

static int set_up(void **state)
{
    (void)state;
    project_files_init(&files);
    project_files_write(&files, "parties/main.lua", "return {}");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    project_unref(project);
    project = NULL;
    buf_fini(&error);
    project_files_fini(&files);
    return 0;
}

/* A file of this text, then count times that one, then end. */
static void write_long(const char *name, const char *begin, const char *again, size_t count, const char *end)
{
    struct buf source = {0};

    assert_int_equal(buf_append(&source, begin, strlen(begin)), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(buf_append(&source, again, strlen(again)), 0);
    assert_int_equal(buf_append(&source, end, strlen(end)), 0);
    project_files_write_bytes(&files, name, source.data, source.len);
    buf_fini(&source);
}

static void open_project(void)
{
    struct config config;

    config_init(&config);
    error.len = 0;
    project_unref(project);
    project = project_open(files.root, &config, NULL, &error);
    assert_int_equal(buf_append(&error, "", 1), 0);
    config_fini(&config);
}

static void expect_error(const char *wanted)
{
    if (!strstr((char *)error.data, wanted))
        fail_msg("%s\n  does not have %s", (char *)error.data, wanted);
}

/* A module of the party main; NULL with its error. */
static struct code *module(const char *name)
{
    error.len = 0;
    struct code *code = project_module(project_party(project, SPAN("main")), span_of(name), NULL, &error);
    assert_int_equal(buf_append(&error, "", 1), 0);
    return code;
}

static void files_have_a_size(void **state)
{
    (void)state;
    write_long("lib/most.lua", "return {", "{},", 349500, "}");
    write_long("lib/large.lua", "return {", "{},", 349600, "}");
    open_project();
    struct code *most = module("most");
    assert_non_null(most);
    code_unref(most);
    assert_null(module("large"));
    expect_error("lib/large.lua: larger than 1 MiB, which a source file can have at most");

    write_long("parties/long.lua", "-- ", "x", 1 << 20, "");
    open_project();
    assert_null(project);
    expect_error("parties/long.lua: larger than 1 MiB");
}

/* The compiler looks at each of the jumps so far for each `or`. */
static void compiling_has_a_time(void **state)
{
    (void)state;
    write_long("lib/slow.lua", "return ", "a or ", 200000, "a");
    open_project();
    assert_null(module("slow"));
    expect_error("lib/slow.lua: takes more than 1000 ms to compile");

    project_files_link(&files, "parties/slow.lua", "../lib/slow.lua");
    open_project();
    assert_null(project);
    expect_error("parties/slow.lua: takes more than 1000 ms to compile");
}

/* Modules beyond what is kept are compiled each time. */
static void so_much_is_kept(void **state)
{
    (void)state;
    write_long("lib/text.lua", "return '", "x", 1000000, "'");
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "lib/text%d.lua", i);
        project_files_link(&files, name, "text.lua");
    }
    open_project();
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "text%d", i);
        struct code *first = module(name), *second = module(name);
        assert_true(first && second && code_same(first, second));
        assert_true((first == second) == (i < 4));
        code_unref(first);
        code_unref(second);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_have_a_size),
        TEST(compiling_has_a_time),
        TEST(so_much_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
