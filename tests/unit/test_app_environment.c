/* app: the variables of scripts, out of four places, and how a .env is read. */
#include "app/environment.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A project folder; without a .env until the test writes one. */
struct world {
    char folder[64], dotenv[80];
    struct config config;
    struct cli cli;
    struct string_list env;
    struct buf error;
};

static int begin(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    snprintf(world->folder, sizeof world->folder, "%s/festa-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->dotenv, sizeof world->dotenv, "%s/.env", world->folder);
    *state = world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;
    remove(world->dotenv);
    assert_int_equal(rmdir(world->folder), 0);
    config_fini(&world->config);
    cli_fini(&world->cli);
    string_list_fini(&world->env);
    buf_fini(&world->error);
    free(world);
    return 0;
}

static void write_dotenv(struct world *world, const char *text, size_t len)
{
    FILE *file = fopen(world->dotenv, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static int collect(struct world *world)
{
    string_list_fini(&world->env);
    world->error.len = 0;
    return environment_collect(&world->env, &world->config, world->folder, &world->cli, &world->error);
}

/* The variables, one a line, in order. */
static void assert_env(struct world *world, const char *want)
{
    char got[4096] = "";
    for (size_t i = 0; i < world->env.count; i++) {
        strcat(got, world->env.items[i]);
        strcat(got, "\n");
    }
    assert_string_equal(got, want);
}

static void a_dotenv_is_read(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", ""},
        {"\n\n  \n\t\n", ""},
        {"A=b", "A=b\n"},
        {"A=b\n", "A=b\n"},
        {"A=b\r\nC=d\r\n", "A=b\nC=d\n"},
        {"A=\nB= \nC=\t\n", "A=\nB=\nC=\n"},
        {"  A = b \n\tC\t=\td\t\n", "A=b\nC=d\n"},
        {"_a1=x\nAb_2=y\n", "_a1=x\nAb_2=y\n"},
        {"A=two words\n", "A=two words\n"},
        {"A=b=c==\n", "A=b=c==\n"},
        {"A=zwei \xc3\xbc\n", "A=zwei \xc3\xbc\n"},
        /* comments */
        {"# a comment\n  # another\nA=b # c\nD=e\t#f\nG=#h\nI= # j\n", "A=b\nD=e\nG=\nI=\n"},
        {"A=b#c\nURL=http://x/#y\n", "A=b#c\nURL=http://x/#y\n"},
        {"#A=b", ""},
        /* export */
        {"export A=b\nexport   C = d\n", "A=b\nC=d\n"},
        {"export=x\nexported=y\nexport export=z\n", "export=z\nexported=y\n"},
        /* '…' is as it is */
        {"A='b c'\nB=''\nC='  d  '\nD='a # b'\nE='\\n\"$X'\n", "A=b c\nB=\nC=  d  \nD=a # b\nE=\\n\"$X\n"},
        /* "…" knows \n, \t, \" and \\ */
        {"A=\"b c\"\nB=\"\"\nC=\"  d  \"\nD=\"a # b\"\n", "A=b c\nB=\nC=  d  \nD=a # b\n"},
        {"A=\"a\\nb\\tc\\\"d\\\\e\\'\\x\"\n", "A=a\nb\tc\"d\\e'x\n"},
        {"A='b' # c\nD=\"e\"#f\nG=\"h\"   \n", "A=b\nD=e\nG=h\n"},
        {"A=\"it's\"\nB='say \"x\"'\n", "A=it's\nB=say \"x\"\n"},
        /* a quote inside of a bare value is one of its characters */
        {"A=it's\nB=a\"b\"\n", "A=it's\nB=a\"b\"\n"},
        /* nothing is expanded */
        {"A=$HOME ${HOME}\n", "A=$HOME ${HOME}\n"},
        /* a later line counts, in the place of the earlier one */
        {"A=1\nB=2\nA=3\n", "A=3\nB=2\n"},
        {"AB=1\nA=2\nABC=3\n", "AB=1\nA=2\nABC=3\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_dotenv(world, rows[i].text, strlen(rows[i].text));
        int rc = collect(world);
        if (rc != 0)
            fail_msg("%s: %.*s", rows[i].text, (int)world->error.len, (const char *)world->error.data);
        assert_int_equal(world->error.len, 0);
        assert_env(world, rows[i].want);
    }
}

static void a_wrong_line_is_named(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *text;
        int line;
    } rows[] = {
        {"A", 1},
        {"=b", 1},
        {"A b", 1},
        {"1A=b", 1},
        {"A-B=c", 1},
        {"A.B=c", 1},
        {"export", 1},
        {"export A", 1},
        {"\xc3\xbc=x", 1},
        {"\"A\"=b", 1},
        {"A=\"b", 1},
        {"A='b", 1},
        {"A=\"b\\\"", 1},
        {"A=\"b\" c", 1},
        {"A='b'c", 1},
        {"A='b''c'", 1},
        {"A=\"b\nc\"", 1},
        {"\n# x\nA=b\n?\n", 4},
        {"A=b\nnothing\nC=\"", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char want[256];
        write_dotenv(world, rows[i].text, strlen(rows[i].text));
        if (collect(world) != -EINVAL)
            fail_msg("%s is taken", rows[i].text);
        snprintf(want, sizeof want, "%s:%d: expected NAME=value, a comment or an empty line", world->dotenv,
                 rows[i].line);
        assert_int_equal(buf_append(&world->error, "", 1), 0);
        assert_string_equal((const char *)world->error.data, want);
    }
}

/* Whatever a file holds, it is read or refused. */
static void a_file_may_hold_anything(void **state)
{
    struct world *world = *state;
    static const char alphabet[] = "A=\"'\\#\n \t\rn\xff_e\0";
    uint32_t random = 12345;
    unsigned taken = 0, refused = 0;

    for (int round = 0; round < 2000; round++) {
        char text[64];
        size_t len = 0;
        while (len < sizeof text && (random = random * 1103515245u + 12345u) >> 28 != 0)
            text[len++] = alphabet[(random >> 16) % sizeof alphabet];
        write_dotenv(world, text, len);
        int rc = collect(world);
        assert_true(rc == 0 || rc == -EINVAL);
        assert_int_equal(rc == 0, world->error.len == 0);
        taken += rc == 0;
        refused += rc != 0;
        for (size_t i = 0; i < world->env.count; i++)
            assert_non_null(strchr(world->env.items[i], '='));
    }
    assert_true(taken > 100 && refused > 100);
}

static void there_may_be_no_dotenv(void **state)
{
    struct world *world = *state;
    assert_int_equal(collect(world), 0);
    assert_env(world, "");
}

static void one_that_cannot_be_read_is_an_error(void **state)
{
    struct world *world = *state;
    char want[256];
    assert_int_equal(mkdir(world->dotenv, 0700), 0);
    assert_true(collect(world) < 0);
    snprintf(want, sizeof want, "%s can't be read", world->dotenv);
    assert_memory_equal(world->error.data, want, strlen(want));
}

static void the_order_of_the_four_places(void **state)
{
    struct world *world = *state;
    static const char *const vars[] = {"A=configuration", "B=configuration", "C=configuration",
                                       "D=configuration"};
    static const char dotenv[] = "B=dotenv\nC=dotenv\nD=dotenv\nE=dotenv\n";

    for (size_t i = 0; i < 4; i++)
        string_list_add(&world->config.vars, vars[i]);
    write_dotenv(world, dotenv, sizeof dotenv - 1);
    assert_int_equal(setenv("FESTA_VAR_C", "process", 1), 0);
    assert_int_equal(setenv("FESTA_VAR_D", "process", 1), 0);
    assert_int_equal(setenv("FESTA_VAR_F", "process=x y", 1), 0);
    assert_int_equal(setenv("FESTA_VAR_", "nameless", 1), 0);
    assert_int_equal(setenv("FESTA_VARIABLE", "other", 1), 0);
    assert_int_equal(setenv("OTHER", "other", 1), 0);
    string_list_add(&world->cli.vars, "D=flag");
    string_list_add(&world->cli.vars, "G=flag");
    string_list_add(&world->cli.vars, "G=flag again");
    string_list_add(&world->cli.vars, "H=");

    assert_int_equal(collect(world), 0);
    assert_env(world,
               "A=configuration\nB=dotenv\nC=process\nD=flag\nE=dotenv\nF=process=x y\nG=flag again\nH=\n");

    unsetenv("FESTA_VAR_C");
    unsetenv("FESTA_VAR_D");
    unsetenv("FESTA_VAR_F");
    unsetenv("FESTA_VAR_");
    assert_int_equal(remove(world->dotenv), 0);
    assert_int_equal(collect(world), 0);
    assert_env(world, "A=configuration\nB=configuration\nC=configuration\nD=flag\nG=flag again\nH=\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_dotenv_is_read, begin, end),
        cmocka_unit_test_setup_teardown(a_wrong_line_is_named, begin, end),
        cmocka_unit_test_setup_teardown(a_file_may_hold_anything, begin, end),
        cmocka_unit_test_setup_teardown(there_may_be_no_dotenv, begin, end),
        cmocka_unit_test_setup_teardown(one_that_cannot_be_read_is_an_error, begin, end),
        cmocka_unit_test_setup_teardown(the_order_of_the_four_places, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
