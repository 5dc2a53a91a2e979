#include "app/cli.h"

#include "base/suggest.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char cli_help[] =
    "Festa serves rooms whose logic is a Lua script, to REST and WebSocket clients.\n"
    "\n"
    "usage: festa COMMAND [DIR] [options]\n"
    "\n"
    "commands\n"
    "  run [DIR]     serves the project in DIR (default: this folder)\n"
    "  dev [DIR]     serves it for its author: takes over what is saved, shows errors\n"
    "  check [DIR]   loads configuration, parties and modules, and reports, without serving\n"
    "  help          this text\n"
    "  version       the version\n"
    "\n"
    "options of run, dev and check\n"
    "  --port N           port to listen on (1999; 0: any free one)\n"
    "  --host ADDRESS     address to listen on (127.0.0.1)\n"
    "  --threads N        loop threads (as many as there are cores)\n"
    "  --data DIR         folder for what rooms store (DIR/.festa)\n"
    "  --config FILE      configuration to read in place of DIR/festa.lua\n"
    "  --var NAME=VALUE   a variable for party.env; may be repeated\n"
    "  --log-level LEVEL  debug, info, warn, error or off (info)\n"
    "  --log-format WHAT  text, json or auto: text on a terminal, JSON lines otherwise (auto)\n"
    "\n"
    "examples\n"
    "  festa run\n"
    "  festa dev my-app --host 0.0.0.0\n"
    "  festa run my-app --port 8080 --host 0.0.0.0 --var GREETING=hi\n";

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

static int parse_option(struct cli *cli, int option, const char *value)
{
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
        return log_level_parse(value, &cli->log_level)
                   ? 0
                   : wrong("--log-level takes debug, info, warn, error or off, not '%s'", value);
    case OPTION_LOG_FORMAT:
        return log_format_parse(value, &cli->log_format)
                   ? 0
                   : wrong("--log-format takes text, json or auto, not '%s'", value);
    case OPTION_HELP: cli->command = COMMAND_HELP; return 0;
    case OPTION_VERSION: cli->command = COMMAND_VERSION; return 0;
    default: return 0;
    }
}

static int parse_command(struct cli *cli, const char *name)
{
    static const char *const names[] = {"run", "dev", "check", "help", "version", NULL};
    for (int i = 0; names[i]; i++) {
        if (strcmp(name, names[i]) == 0) {
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
    return wrong_name(*name == '-' ? "option" : "command", name, names);
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
    opterr = 0;
    optind = 0; /* begins anew, with all that it keeps */
    int option;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == ':' || option == '?')
            return wrong_option(option, argv);
        if (parse_option(cli, option, optarg) != 0)
            return -EINVAL;
    }
    if (optind < argc)
        cli->directory = argv[optind++];
    if (optind < argc)
        return wrong("one project folder only: what is '%s'?", argv[optind]);
    return 0;
}

void cli_fini(struct cli *cli)
{
    string_list_fini(&cli->vars);
}
