#include "app/cli.h"

#include "base/suggest.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char cli_help[] =
    "Festa serves rooms whose logic is a Lua script, to REST and WebSocket clients.\n"
    "\n"
    "usage: festa COMMAND [DIR] [options]\n"
    "\n"
    "commands\n"
    "  run [DIR]     serves the project in DIR (default: this folder)\n"
    "  dev [DIR]     serves it for its author: takes over what is saved, shows errors\n"
    "  check [DIR]   loads configuration, parties and modules, and reports, without serving\n"
    "  test [DIR]    runs the project's tests, tests/*_test.lua, and reports in TAP\n"
    "  init DIR      writes a new project into DIR, with tests\n"
    "  types [DIR]   writes annotations for editors with lua-language-server\n"
    "  rooms [DIR]   lists the rooms that have stored something, or are in the server's memory\n"
    "  storage ...   shows, changes and saves what rooms have stored, with or without a server:\n"
    "    storage get [DIR] PARTY ROOM KEY        shows a value as JSON\n"
    "    storage put [DIR] PARTY ROOM KEY JSON   stores a value; with - the standard input's\n"
    "    storage delete [DIR] PARTY ROOM KEY     deletes a key\n"
    "    storage export [DIR] > FILE             writes keys, alarms and selfs as lines of JSON\n"
    "    storage import [DIR] < FILE             stores what an export has written\n"
    "    storage backup [DIR] TARGET             copies the data folder, while rooms go on\n"
    "  help [NAME]   this text, or what of it is about one command\n"
    "  version       the version\n"
    "\n"
    "options of run, dev, check and test\n"
    "  --config FILE      configuration to read in place of DIR/festa.lua\n"
    "  --var NAME=VALUE   a variable for party.env; may be repeated\n"
    "\n"
    "options of run, dev and check\n"
    "  --port N           port to listen on (1999; 0: any free one)\n"
    "  --host ADDRESS     address to listen on (127.0.0.1)\n"
    "  --threads N        loop threads (as many as there are cores)\n"
    "  --data DIR         folder for what rooms store (DIR/.festa)\n"
    "  --log-level LEVEL  debug, info, warn, error or off (info)\n"
    "  --log-format WHAT  text, json or auto: text on a terminal, JSON lines otherwise (auto)\n"
    "\n"
    "options of test\n"
    "  --filter TEXT      runs those that have TEXT in their name\n"
    "  --watch            runs them again whenever a file is saved\n"
    "  --log-level LEVEL  shows what parties log in every test (else: all of it, where a test fails)\n"
    "\n"
    "options of init and types\n"
    "  --template NAME    init: minimal, chat, game or rest (minimal)\n"
    "  --force            init: writes what is missing, into a folder that is not empty\n"
    "  --names            types: lists every name that scripts can use; writes nothing\n"
    "\n"
    "options of rooms and storage\n"
    "  --data DIR         the data folder (DIR/.festa)\n"
    "  --party NAME       rooms, export: of this party only\n"
    "  --prefix TEXT      rooms, export: whose name begins so\n"
    "  --room NAME        export: this room only (needs --party)\n"
    "  --json             rooms: a line of JSON for each room\n"
    "\n"
    "examples\n"
    "  festa init my-app --template chat\n"
    "  festa test my-app --filter 'a message'\n"
    "  festa run\n"
    "  festa dev my-app --host 0.0.0.0\n"
    "  festa run my-app --port 8080 --host 0.0.0.0 --var GREETING=hi\n"
    "  festa rooms my-app --party main\n"
    "  festa storage put my-app main lobby count 7\n";

/* From 256, since getopt tells letters by the same number. */
enum {
    OPTION_PORT = 256,
    OPTION_HOST,
    OPTION_THREADS,
    OPTION_DATA,
    OPTION_CONFIG,
    OPTION_VAR,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
    OPTION_PARTY,
    OPTION_ROOM,
    OPTION_PREFIX,
    OPTION_JSON,
    OPTION_FILTER,
    OPTION_WATCH,
    OPTION_TEMPLATE,
    OPTION_FORCE,
    OPTION_NAMES,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option options[] = {
    {"port", required_argument, NULL, OPTION_PORT},
    {"host", required_argument, NULL, OPTION_HOST},
    {"threads", required_argument, NULL, OPTION_THREADS},
    {"data", required_argument, NULL, OPTION_DATA},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"var", required_argument, NULL, OPTION_VAR},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"party", required_argument, NULL, OPTION_PARTY},
    {"room", required_argument, NULL, OPTION_ROOM},
    {"prefix", required_argument, NULL, OPTION_PREFIX},
    {"json", no_argument, NULL, OPTION_JSON},
    {"filter", required_argument, NULL, OPTION_FILTER},
    {"watch", no_argument, NULL, OPTION_WATCH},
    {"template", required_argument, NULL, OPTION_TEMPLATE},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"names", no_argument, NULL, OPTION_NAMES},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static int wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("festa: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (see festa help)\n", stderr);
    va_end(args);
    return -EINVAL;
}

static int wrong_name(const char *what, const char *name, const char *const *known)
{
    const char *meant = suggest(name, known);
    if (meant)
        return wrong("unknown %s %s: did you mean %s?", what, name, meant);
    return wrong("unknown %s %s", what, name);
}

/* The name of one that getopt knows; NULL: it does not. */
static const char *option_name(int option)
{
    for (size_t i = 0; options[i].name; i++) {
        if (options[i].val == option)
            return options[i].name;
    }
    return NULL;
}

static int unknown_option(const char *argument)
{
    const char *names[sizeof options / sizeof *options];
    char name[64];

    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        names[i] = options[i].name;
    snprintf(name, sizeof name, "--%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    const char *meant = suggest(name + 2, names);
    if (meant)
        return wrong("unknown option %s: did you mean --%s?", name, meant);
    return wrong("unknown option %s", name);
}

/* What getopt_long did not take, which it left in optopt (an option that it knows, or a letter) and behind
 * it in argv (a name that it does not know, or means several). */
static int wrong_option(int result, char **argv)
{
    const char *known = option_name(optopt);

    if (result == ':')
        return wrong("--%s needs a value", known);
    if (known)
        return wrong("--%s takes no value", known);
    if (optopt != 0)
        return wrong("unknown option -%c", optopt);
    return unknown_option(argv[optind - 1]);
}

static int parse_number(const char *option, const char *text, long least, long most, int *number)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (!*text || *end || errno || value < least || value > most)
        return wrong("--%s takes a number from %ld to %ld, not '%s'", option, least, most, text);
    *number = (int)value;
    return 0;
}

/* A name of letters, digits and "_" that begins with no digit, and "=". */
static bool is_assignment(const char *text)
{
    if (*text >= '0' && *text <= '9')
        return false;
    size_t name = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return name > 0 && text[name] == '=';
}

static bool option_fits(enum command command, int option)
{
    bool serves = command == COMMAND_RUN || command == COMMAND_DEV || command == COMMAND_CHECK;

    switch (option) {
    case OPTION_DATA: return serves || command >= COMMAND_ROOMS;
    case OPTION_HELP:
    case OPTION_VERSION: return true;
    case OPTION_CONFIG:
    case OPTION_VAR:
    case OPTION_LOG_LEVEL: return serves || command == COMMAND_TEST;
    case OPTION_FILTER:
    case OPTION_WATCH: return command == COMMAND_TEST;
    case OPTION_TEMPLATE:
    case OPTION_FORCE: return command == COMMAND_INIT;
    case OPTION_NAMES: return command == COMMAND_TYPES;
    case OPTION_PARTY:
    case OPTION_PREFIX: return command == COMMAND_ROOMS || command == COMMAND_EXPORT;
    case OPTION_ROOM: return command == COMMAND_EXPORT;
    case OPTION_JSON: return command == COMMAND_ROOMS;
    default: return serves;
    }
}

static const char *const command_names[] = {"run",  "dev",   "check", "help",    "version", "test",
                                            "init", "types", "rooms", "storage", NULL};

/* `festa NAME --help` is `festa help NAME`. */
static void ask_for_help(struct cli *cli)
{
    if (cli->command != COMMAND_HELP && cli->command != COMMAND_VERSION)
        cli->topic = cli->command < COMMAND_GET ? command_names[cli->command] : "storage";
    cli->command = COMMAND_HELP;
}

static int parse_option(struct cli *cli, int option, const char *value)
{
    if (cli->command != COMMAND_HELP && cli->command != COMMAND_VERSION && !option_fits(cli->command, option))
        return wrong("--%s is no option of this command", option_name(option));
    switch (option) {
    case OPTION_PORT: return parse_number("port", value, 0, 65535, &cli->port);
    case OPTION_THREADS: return parse_number("threads", value, 1, 1024, &cli->threads);
    case OPTION_HOST: cli->host = value; return *value ? 0 : wrong("--host takes an address");
    case OPTION_DATA: cli->data = value; return *value ? 0 : wrong("--data takes a folder");
    case OPTION_CONFIG: cli->config_path = value; return *value ? 0 : wrong("--config takes a file");
    case OPTION_VAR:
        if (!is_assignment(value))
            return wrong("--var takes NAME=VALUE, not '%s'", value);
        string_list_add(&cli->vars, value);
        return 0;
    case OPTION_LOG_LEVEL:
        cli->log_level_given = true;
        return log_level_parse(value, &cli->log_level)
                   ? 0
                   : wrong("--log-level takes debug, info, warn, error or off, not '%s'", value);
    case OPTION_LOG_FORMAT:
        return log_format_parse(value, &cli->log_format)
                   ? 0
                   : wrong("--log-format takes text, json or auto, not '%s'", value);
    case OPTION_PARTY: cli->party = value; return *value ? 0 : wrong("--party takes a name");
    case OPTION_ROOM: cli->room = value; return *value ? 0 : wrong("--room takes a name");
    case OPTION_PREFIX: cli->prefix = value; return 0;
    case OPTION_JSON: cli->json = true; return 0;
    case OPTION_FILTER: cli->filter = value; return *value ? 0 : wrong("--filter takes a text");
    case OPTION_WATCH: cli->watch = true; return 0;
    case OPTION_TEMPLATE: cli->template = value; return *value ? 0 : wrong("--template takes a name");
    case OPTION_FORCE: cli->force = true; return 0;
    case OPTION_NAMES: cli->names = true; return 0;
    case OPTION_HELP: ask_for_help(cli); return 0;
    case OPTION_VERSION: cli->command = COMMAND_VERSION; return 0;
    default: return 0;
    }
}

static const char *const storage_names[] = {"get", "put", "delete", "export", "import", "backup", NULL};

/* The word behind "storage"; NULL: there is none. */
static int parse_storage(struct cli *cli, const char *name)
{
    if (!name)
        return wrong("storage what? get, put, delete, export, import or backup");
    for (int i = 0; storage_names[i]; i++) {
        if (strcmp(name, storage_names[i]) == 0) {
            cli->command = (enum command)(COMMAND_GET + i);
            return 0;
        }
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        cli->topic = "storage";
        cli->command = COMMAND_HELP;
        return 0;
    }
    return wrong_name("command of storage", name, storage_names);
}

static int parse_command(struct cli *cli, const char *name)
{
    for (int i = 0; command_names[i]; i++) {
        if (strcmp(name, command_names[i]) == 0) {
            cli->command = (enum command)i;
            return 0;
        }
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        cli->command = COMMAND_HELP;
        return 0;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-v") == 0) {
        cli->command = COMMAND_VERSION;
        return 0;
    }
    return wrong_name(*name == '-' ? "option" : "command", name, command_names);
}

/* `festa help NAME` */
static int parse_topic(struct cli *cli, const char *name)
{
    for (int i = 0; command_names[i]; i++) {
        if (strcmp(name, command_names[i]) == 0) {
            cli->topic = command_names[i];
            return 0;
        }
    }
    return wrong_name("command", name, command_names);
}

/* Is it a folder of a project, or has it a data folder? */
static bool is_project(const char *path)
{
    static const char *const signs[] = {"parties", ".festa"};
    char sign[PATH_MAX];

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        int n = snprintf(sign, sizeof sign, "%s/%s", path, signs[i]);
        if (n < (int)sizeof sign && access(sign, F_OK) == 0)
            return true;
    }
    return false;
}

/* The arguments that are no options, as the command names them; the project's folder may be left out. */
static int place_arguments(struct cli *cli, char **args, int n)
{
    static const struct {
        const char *usage;
        int most; /* with the folder */
    } shapes[] = {
        [COMMAND_GET] = {"storage get [DIR] PARTY ROOM KEY", 4},
        [COMMAND_PUT] = {"storage put [DIR] PARTY ROOM KEY JSON", 5},
        [COMMAND_DELETE] = {"storage delete [DIR] PARTY ROOM KEY", 4},
        [COMMAND_EXPORT] = {NULL, 1},
        [COMMAND_IMPORT] = {NULL, 1},
        [COMMAND_BACKUP] = {"storage backup [DIR] TARGET", 2},
    };
    bool plain = cli->command < COMMAND_GET || !shapes[cli->command].usage;
    int most = plain ? 1 : shapes[cli->command].most;

    if (cli->command == COMMAND_INIT && n == 0)
        return wrong("init where? festa init DIR");
    if (plain && n > 1)
        return wrong("one project folder only: what is '%s'?", args[1]);
    if (!plain && (n > most || n < most - 1))
        return wrong("usage: festa %s", shapes[cli->command].usage);
    if (n == most)
        cli->directory = *args++;
    if (plain)
        return 0;
    if (n < most && is_project(args[0]))
        return wrong("usage: festa %s (%s is a project's folder, so one is missing behind it)",
                     shapes[cli->command].usage, args[0]);
    if (cli->command == COMMAND_BACKUP) {
        cli->target = args[0];
        return 0;
    }
    cli->party = args[0];
    cli->room = args[1];
    cli->key = args[2];
    cli->value = cli->command == COMMAND_PUT ? args[3] : NULL;
    if (!*cli->party || !*cli->room || !*cli->key)
        return wrong("a party, a room and a key have names");
    return 0;
}

/* A number below 0 is no option of `storage put`, but its value: that goes to the end. Returns whether there is one. */
static bool put_negative_last(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *value = argv[i];
        if (value[0] != '-' || value[1] < '0' || value[1] > '9')
            continue;
        memmove(&argv[i], &argv[i + 1], (size_t)(argc - 1 - i) * sizeof *argv);
        argv[argc - 1] = value;
        return true;
    }
    return false;
}

int cli_absolute(const char *path, char absolute[PATH_MAX])
{
    char here[PATH_MAX] = "";

    while (path[0] == '.' && path[1] == '/')
        path += 1 + strspn(path + 1, "/");
    if (path[0] != '/' && !getcwd(here, sizeof here))
        return -errno;
    int n = snprintf(absolute, PATH_MAX, "%s%s%s", here, path[0] == '/' ? "" : "/", path);
    return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int cli_data_folder(const struct cli *cli, char path[PATH_MAX])
{
    int n = cli->data ? snprintf(path, PATH_MAX, "%s", cli->data)
                      : snprintf(path, PATH_MAX, "%s/.festa", cli->directory);
    if (n < PATH_MAX)
        return 0;
    fputs("festa: the data folder's path is too long\n", stderr);
    return -ENAMETOOLONG;
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
    *cli = (struct cli){.directory = ".", .port = -1, .threads = -1, .log_level = LOG_INFO};
    if (argc < 2) {
        fputs(cli_help, stderr);
        return -EINVAL;
    }
    if (parse_command(cli, argv[1]) != 0)
        return -EINVAL;
    argc--; /* the command stands where getopt expects the program */
    argv++;
    if (strcmp(argv[0], "storage") == 0) {
        if (parse_storage(cli, argc > 1 ? argv[1] : NULL) != 0)
            return -EINVAL;
        argc--;
        argv++;
    }
    bool asked = cli->command == COMMAND_HELP && strcmp(argv[0], "help") == 0;
    bool negative = cli->command == COMMAND_PUT && put_negative_last(argc, argv);
    if (negative)
        argc--;
    opterr = 0;
    optind = 0; /* begins anew, with all that it keeps */
    int option;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == ':' || option == '?')
            return wrong_option(option, argv);
        if (parse_option(cli, option, optarg) != 0)
            return -EINVAL;
    }
    if (asked && cli->command == COMMAND_HELP && optind < argc)
        return parse_topic(cli, argv[optind]);
    if (cli->command == COMMAND_HELP || cli->command == COMMAND_VERSION)
        return 0;
    if (cli->room && !cli->party)
        return wrong("--room needs --party");
    return place_arguments(cli, argv + optind, argc + negative - optind);
}

void cli_fini(struct cli *cli)
{
    string_list_fini(&cli->vars);
}
