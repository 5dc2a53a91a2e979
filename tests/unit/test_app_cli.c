/* app: the command line as data, and what is said about a wrong one. */
#include "app/cli.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARGS_MAX 16

/* Parses "festa" and the arguments; what it wrote to stderr is in said. */
static int parse(struct cli *cli, const char *const *args, char said[8192])
{
    char *argv[ARGS_MAX + 2] = {strdup("festa")};
    int argc = 1;
    for (; args[argc - 1]; argc++) {
        assert_true(argc <= ARGS_MAX);
        argv[argc] = strdup(args[argc - 1]);
    }
    char *given[ARGS_MAX + 2]; /* getopt changes the order */
    memcpy(given, argv, sizeof argv);

    FILE *capture = tmpfile();
    assert_non_null(capture);
    fflush(stderr);
    int before = dup(2);
    assert_true(before >= 0);
    assert_int_equal(dup2(fileno(capture), 2), 2);
    int rc = cli_parse(cli, argc, argv);
    fflush(stderr);
    assert_int_equal(dup2(before, 2), 2);
    close(before);

    ssize_t len = pread(fileno(capture), said, 8191, 0);
    assert_true(len >= 0);
    said[len] = '\0';
    fclose(capture);

    /* The result points into the arguments: they stay as long as it is looked at. */
    static char *kept[ARGS_MAX + 2];
    for (int i = 0; i < ARGS_MAX + 2; i++)
        free(kept[i]);
    memcpy(kept, given, sizeof kept);
    return rc;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_parses(struct cli *cli, const char *const *args)
{
    char said[8192];
    int rc = parse(cli, args, said);
    if (rc != 0 || *said)
        fail_msg("%s %s …: %d, %s", args[0], args[1] ? args[1] : "", rc, said);
}

static void commands(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum command command;
    } rows[] = {
        {"run", COMMAND_RUN},           {"check", COMMAND_CHECK}, {"help", COMMAND_HELP},
        {"--help", COMMAND_HELP},       {"-h", COMMAND_HELP},     {"version", COMMAND_VERSION},
        {"--version", COMMAND_VERSION}, {"-v", COMMAND_VERSION},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cli cli;
        assert_parses(&cli, ARGS(rows[i].word));
        assert_int_equal(cli.command, rows[i].command);
        cli_fini(&cli);
    }
    struct cli cli; /* behind a command, too */
    assert_parses(&cli, ARGS("run", "somewhere", "--help"));
    assert_int_equal(cli.command, COMMAND_HELP);
    cli_fini(&cli);
    assert_parses(&cli, ARGS("check", "--version"));
    assert_int_equal(cli.command, COMMAND_VERSION);
    cli_fini(&cli);
}

static void storage_commands(void **state)
{
    (void)state;
    struct cli cli;

    assert_parses(&cli, ARGS("rooms", "dir", "--json", "--party", "p", "--prefix=x"));
    assert_int_equal(cli.command, COMMAND_ROOMS);
    assert_true(cli.json);
    assert_string_equal(cli.directory, "dir");
    assert_string_equal(cli.party, "p");
    assert_string_equal(cli.prefix, "x");
    cli_fini(&cli);

    assert_parses(&cli, ARGS("storage", "get", "p", "r", "k", "--data", "d"));
    assert_int_equal(cli.command, COMMAND_GET);
    assert_string_equal(cli.directory, ".");
    assert_string_equal(cli.data, "d");
    assert_string_equal(cli.party, "p");
    assert_string_equal(cli.room, "r");
    assert_string_equal(cli.key, "k");
    cli_fini(&cli);

    /* A number below 0 is a value, wherever options stand; so is "-". */
    assert_parses(&cli, ARGS("storage", "put", "dir", "p", "r", "k", "-7", "--data", "d"));
    assert_string_equal(cli.directory, "dir");
    assert_string_equal(cli.data, "d");
    assert_string_equal(cli.value, "-7");
    cli_fini(&cli);
    assert_parses(&cli, ARGS("storage", "put", "p", "r", "k", "-"));
    assert_string_equal(cli.value, "-");
    cli_fini(&cli);
    assert_parses(&cli, ARGS("storage", "put", "--data=d", "--", "p", "r", "--k", "--v"));
    assert_string_equal(cli.key, "--k");
    assert_string_equal(cli.value, "--v");
    cli_fini(&cli);

    assert_parses(&cli, ARGS("storage", "backup", "to"));
    assert_string_equal(cli.directory, ".");
    assert_string_equal(cli.target, "to");
    cli_fini(&cli);
    assert_parses(&cli, ARGS("storage", "backup", "dir", "to"));
    assert_string_equal(cli.directory, "dir");
    assert_string_equal(cli.target, "to");
    cli_fini(&cli);
    assert_parses(&cli, ARGS("storage", "export", "--party", "p", "--room", "r"));
    assert_string_equal(cli.directory, ".");
    assert_string_equal(cli.room, "r");
    cli_fini(&cli);
    assert_parses(&cli, ARGS("storage", "--help"));
    assert_int_equal(cli.command, COMMAND_HELP);
    cli_fini(&cli);
    assert_parses(&cli, ARGS("storage", "put", "--help"));
    assert_int_equal(cli.command, COMMAND_HELP);
    cli_fini(&cli);
}

static void the_data_folder(void **state)
{
    (void)state;
    char path[PATH_MAX];
    struct cli cli = {.directory = "my-app"};

    assert_int_equal(cli_data_folder(&cli, path), 0);
    assert_string_equal(path, "my-app/.festa");
    cli.data = "elsewhere";
    assert_int_equal(cli_data_folder(&cli, path), 0);
    assert_string_equal(path, "elsewhere");
}

static void what_is_not_said(void **state)
{
    (void)state;
    struct cli cli;
    assert_parses(&cli, ARGS("run"));
    assert_string_equal(cli.directory, ".");
    assert_null(cli.host);
    assert_null(cli.data);
    assert_null(cli.config_path);
    assert_int_equal(cli.port, -1);
    assert_int_equal(cli.threads, -1);
    assert_int_equal(cli.vars.count, 0);
    assert_int_equal(cli.log_level, LOG_INFO);
    assert_int_equal(cli.log_format, LOG_AUTO);
    cli_fini(&cli);
}

static void assert_everything(const char *const *args)
{
    struct cli cli;
    assert_parses(&cli, args);
    assert_int_equal(cli.command, COMMAND_RUN);
    assert_string_equal(cli.directory, "my-app");
    assert_string_equal(cli.host, "::1");
    assert_string_equal(cli.data, "/var/lib/festa");
    assert_string_equal(cli.config_path, "other.lua");
    assert_int_equal(cli.port, 8080);
    assert_int_equal(cli.threads, 3);
    assert_int_equal(cli.log_level, LOG_WARN);
    assert_int_equal(cli.log_format, LOG_JSON);
    assert_int_equal(cli.vars.count, 1);
    assert_string_equal(cli.vars.items[0], "A=b=c d");
    cli_fini(&cli);
}

static void every_option(void **state)
{
    (void)state;
    assert_everything(ARGS("run", "my-app", "--port=8080", "--host=::1", "--threads=3",
                           "--data=/var/lib/festa", "--config=other.lua", "--var=A=b=c d", "--log-level=warn",
                           "--log-format=json"));
    /* The folder may stand anywhere; a value may be an argument of its own. */
    assert_everything(ARGS("run", "--port", "8080", "--host", "::1", "--threads", "3", "--data",
                           "/var/lib/festa", "--config", "other.lua", "my-app", "--var=A=b=c d",
                           "--log-level=warn", "--log-format=json"));
    assert_everything(ARGS("run", "--log-format=json", "--log-level=warn", "--port=8080", "--host=::1",
                           "--threads=3", "--data=/var/lib/festa", "--config=other.lua", "--var=A=b=c d",
                           "--", "my-app"));
    /* The last one wins. */
    assert_everything(ARGS("run", "my-app", "--port=1", "--port=8080", "--host=x", "--host=::1",
                           "--threads=3", "--data=/var/lib/festa", "--config=other.lua", "--var=A=b=c d",
                           "--log-level=off", "--log-level=warn", "--log-format=json"));
}

static void values(void **state)
{
    (void)state;
    static const char *const levels[] = {"debug", "info", "warn", "error", "off"};
    static const char *const formats[] = {"auto", "text", "json"};
    struct cli cli;

    for (int i = 0; i < 5; i++) {
        assert_parses(&cli, ARGS("run", "--log-level", levels[i]));
        assert_int_equal(cli.log_level, (enum log_level)i);
        cli_fini(&cli);
    }
    for (int i = 0; i < 3; i++) {
        assert_parses(&cli, ARGS("run", "--log-format", formats[i]));
        assert_int_equal(cli.log_format, (enum log_format)i);
        cli_fini(&cli);
    }
    assert_parses(&cli, ARGS("run", "--port", "0", "--threads", "1"));
    assert_int_equal(cli.port, 0);
    assert_int_equal(cli.threads, 1);
    cli_fini(&cli);
    assert_parses(&cli, ARGS("run", "--port", "65535", "--threads", "1024"));
    assert_int_equal(cli.port, 65535);
    assert_int_equal(cli.threads, 1024);
    cli_fini(&cli);
    assert_parses(&cli, ARGS("check", "--var", "A=1", "--var", "B=", "--var", "A=2"));
    assert_int_equal(cli.vars.count, 3); /* in order: what counts in the end is environment.h's */
    assert_string_equal(cli.vars.items[0], "A=1");
    assert_string_equal(cli.vars.items[1], "B=");
    assert_string_equal(cli.vars.items[2], "A=2");
    cli_fini(&cli);
}

static void wrong_usage(void **state)
{
    (void)state;
    static const struct {
        const char *args[6];
        const char *said; /* between "festa: " and " (see festa help)" */
    } rows[] = {
        {{"serve"}, "unknown command serve"},
        {{"rum"}, "unknown command rum: did you mean run?"},
        {{"chekc"}, "unknown command chekc: did you mean check?"},
        {{"RUN"}, "unknown command RUN: did you mean run?"},
        {{""}, "unknown command "},
        {{"--bogus"}, "unknown option --bogus"},
        {{"run", "--bogus"}, "unknown option --bogus"},
        {{"run", "--bogus=x"}, "unknown option --bogus"},
        {{"run", "--prot", "80"}, "unknown option --prot: did you mean --port?"},
        {{"run", "--prot=80"}, "unknown option --prot: did you mean --port?"},
        {{"run", "folder", "--prot", "80"}, "unknown option --prot: did you mean --port?"},
        {{"run", "folder", "--port=1", "--hots", "x"}, "unknown option --hots: did you mean --host?"},
        {{"run", "--log"}, "unknown option --log"}, /* of two options */
        {{"run", "-x"}, "unknown option -x"},
        {{"run", "folder", "-xy"}, "unknown option -x"},
        {{"check", "-p", "80"}, "unknown option -p"},
        {{"run", "--port"}, "--port needs a value"},
        {{"run", "folder", "--port"}, "--port needs a value"},
        {{"run", "folder", "--port=1", "--var"}, "--var needs a value"},
        {{"run", "--help=me"}, "--help takes no value"},
        {{"run", "--port", "x"}, "--port takes a number from 0 to 65535, not 'x'"},
        {{"run", "--port", ""}, "--port takes a number from 0 to 65535, not ''"},
        {{"run", "--port", "80x"}, "--port takes a number from 0 to 65535, not '80x'"},
        {{"run", "--port", "-1"}, "--port takes a number from 0 to 65535, not '-1'"},
        {{"run", "--port", "65536"}, "--port takes a number from 0 to 65535, not '65536'"},
        {{"run", "--port", "99999999999999999999"},
         "--port takes a number from 0 to 65535, not '99999999999999999999'"},
        {{"run", "--port", "0x50"}, "--port takes a number from 0 to 65535, not '0x50'"},
        {{"run", "--port", "80.0"}, "--port takes a number from 0 to 65535, not '80.0'"},
        {{"run", "--threads", "0"}, "--threads takes a number from 1 to 1024, not '0'"},
        {{"run", "--threads", "many"}, "--threads takes a number from 1 to 1024, not 'many'"},
        {{"run", "--threads", "1025"}, "--threads takes a number from 1 to 1024, not '1025'"},
        {{"run", "--host", ""}, "--host takes an address"},
        {{"run", "--data="}, "--data takes a folder"},
        {{"run", "--config="}, "--config takes a file"},
        {{"run", "--var", "A"}, "--var takes NAME=VALUE, not 'A'"},
        {{"run", "--var", "=x"}, "--var takes NAME=VALUE, not '=x'"},
        {{"run", "--var", ""}, "--var takes NAME=VALUE, not ''"},
        {{"run", "--log-level", "loud"}, "--log-level takes debug, info, warn, error or off, not 'loud'"},
        {{"run", "--log-format", "xml"}, "--log-format takes text, json or auto, not 'xml'"},
        {{"run", "one", "two"}, "one project folder only: what is 'two'?"},
        {{"run", "one", "--port=1", "two"}, "one project folder only: what is 'two'?"},
        {{"run", "one", "--", "--port=1"}, "one project folder only: what is '--port=1'?"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char said[8192], want[512];
        struct cli cli;
        int rc = parse(&cli, rows[i].args, said);
        snprintf(want, sizeof want, "festa: %s (see festa help)\n", rows[i].said);
        if (rc != -EINVAL || strcmp(said, want) != 0)
            fail_msg("row %zu: %d, %s", i, rc, said);
        cli_fini(&cli);
    }
}

static void nothing_at_all_gets_the_help(void **state)
{
    (void)state;
    char said[8192];
    struct cli cli;
    assert_int_equal(parse(&cli, (const char *const[]){NULL}, said), -EINVAL);
    assert_string_equal(said, cli_help);
    cli_fini(&cli);
}

/* What can be asked for is named there. */
static void the_help_is_whole(void **state)
{
    (void)state;
    static const char *const words[] = {"run [DIR]",     "check [DIR]",      "help",        "version",
                                        "--port N",      "--host",           "--threads N", "--data DIR",
                                        "--config FILE", "--var NAME=VALUE", "--log-level", "--log-format"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!strstr(cli_help, words[i]))
            fail_msg("%s is not in the help", words[i]);
    }
    assert_int_equal(cli_help[strlen(cli_help) - 1], '\n');
    for (const char *line = cli_help; *line; line = strchr(line, '\n') + 1)
        assert_true(strcspn(line, "\n") <= 100);
}

static void whole_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *whole; /* below the folder that is the current one, if it has no "/" in front */
    } rows[] = {{"a", "a"}, {"./a", "a"}, {".//a", "a"}, {"././/.a", ".a"}, {"/a", "/a"}, {"../a", "../a"}};
    char here[PATH_MAX], want[2 * PATH_MAX], got[PATH_MAX];

    assert_non_null(getcwd(here, sizeof here));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(want, sizeof want, "%s%s%s", *rows[i].whole == '/' ? "" : here,
                 *rows[i].whole == '/' ? "" : "/", rows[i].whole);
        assert_int_equal(cli_absolute(rows[i].path, got), 0);
        assert_string_equal(got, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),          cmocka_unit_test(storage_commands),
        cmocka_unit_test(the_data_folder),   cmocka_unit_test(what_is_not_said),
        cmocka_unit_test(every_option),      cmocka_unit_test(values),
        cmocka_unit_test(wrong_usage),       cmocka_unit_test(nothing_at_all_gets_the_help),
        cmocka_unit_test(the_help_is_whole), cmocka_unit_test(whole_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
