/* The storage commands: what they have in common, and those that are about one key or the whole folder. */
#include "app/storage_command.h"

#include "app/command.h"
#include "app/load.h"
#include "script/project.h"
#include "script/value_json.h"
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- what all of them do ---- */

int command_fail(struct command_run *run, const char *format, ...)
{
    va_list args;

    run->error.len = 0;
    va_start(args, format);
    (void)!buf_vprintf(&run->error, format, args);
    va_end(args);
    return -EINVAL;
}

int command_begin(struct command_run *run, enum control_request request)
{
    run->request.len = 0;
    return control_begin(&run->request, request);
}

int command_begin_room(struct command_run *run, enum control_request request, struct span party,
                       struct span room)
{
    int rc = command_begin(run, request);
    if (rc == 0)
        rc = control_put_bytes(&run->request, party);
    return rc ? rc : control_put_bytes(&run->request, room);
}

int command_check_room(struct command_run *run, struct span party, struct span room)
{
    const char *problem = party_name_problem(party);

    if (problem)
        return command_fail(run, "there can't be such a party: %s", problem);
    problem = room_id_problem(room);
    return problem ? command_fail(run, "there can't be such a room: %s", problem) : 0;
}

int command_ask(struct command_run *run, int rc, struct span *rest)
{
    if (rc != 0)
        return command_fail(run, "not enough memory");
    if (run->request.len > CONTROL_MAX)
        return command_fail(run, "that is too much at once: %u MiB are allowed", CONTROL_MAX >> 20);
    rc = control_client_ask(run->client, &run->request, &run->answer, &run->error);
    *rest = (struct span){(const char *)run->answer.data, run->answer.len};
    return rc;
}

/* Asks for the page behind found, which lies in the answer before. */
static int next_page(struct command_run *run, const struct store_found *found, struct span *rest)
{
    const struct cli *cli = run->cli;

    int rc = command_begin_room(run, CONTROL_ROOMS, span_of(cli->party), span_of(cli->prefix));
    if (rc == 0)
        rc = control_put_bytes(&run->request, found->party);
    if (rc == 0)
        rc = control_put_bytes(&run->request, found->id);
    if (rc == 0)
        rc = control_put_u32(&run->request, 0);
    return command_ask(run, rc, rest);
}

int command_each_room(struct command_run *run,
                      int (*each)(struct command_run *run, const struct store_found *room, void *user),
                      void *user)
{
    struct store_found found = {0};
    struct buf page = {0}; /* each may ask for something */
    struct span rest = {0};
    int rc;

    while ((rc = next_page(run, &found, &rest)) == 0 && rest.len > 0) {
        buf_fini(&page);
        page = run->answer;
        run->answer = (struct buf){0};
        while (rc == 0 && store_next_found(&rest, &found))
            rc = each(run, &found, user);
        if (rc != 0)
            break;
    }
    buf_fini(&page);
    return rc;
}

/* ---- one key ---- */

static int ask_key(struct command_run *run, bool *there, struct span *value)
{
    const struct cli *cli = run->cli;
    struct span rest;
    uint32_t n = 0;

    int rc = command_begin_room(run, CONTROL_GET, span_of(cli->party), span_of(cli->room));
    if (rc == 0)
        rc = control_put_bytes(&run->request, span_of(cli->key));
    rc = command_ask(run, rc, &rest);
    if (rc == 0 && (!control_take_u32(&rest, &n) || (n > 0 && !control_take_bytes(&rest, value))))
        return command_fail(run, "the server's answer is damaged");
    *there = n > 0;
    return rc;
}

static int no_key(struct command_run *run)
{
    return command_fail(run, "room %s of party %s has no key %s", run->cli->room, run->cli->party,
                        run->cli->key);
}

static int command_get(struct command_run *run)
{
    struct buf json = {0};
    struct span value = {0};
    bool there = false, exact = false;

    int rc = ask_key(run, &there, &value);
    if (rc != 0)
        return rc;
    if (!there)
        return no_key(run);
    rc = value_to_json(value, &json, &exact);
    if (rc != 0) {
        rc = command_fail(run,
                          rc == -EINVAL
                              ? "what is stored under %s is damaged, or was written by a later version"
                              : "%s: not enough memory",
                          run->cli->key);
    } else {
        printf("%.*s\n", (int)json.len, (const char *)json.data);
        if (!exact)
            fputs("festa: JSON can't say all of this value; storage export does\n", stderr);
    }
    buf_fini(&json);
    return rc;
}

/* Bytes of the standard input, to its end. */
static int read_input(struct command_run *run, struct buf *text)
{
    ssize_t n;

    do {
        if (text->len > CONTROL_MAX || buf_reserve(text, 65536) != 0)
            return command_fail(run, "the value is too large");
        n = read(STDIN_FILENO, text->data + text->len, 65536);
        if (n > 0)
            text->len += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? command_fail(run, "the standard input can't be read: %s", strerror(errno)) : 0;
}

/* Appends the value that the command line has, or the standard input. */
static int read_value(struct command_run *run, struct buf *bytes)
{
    const char *why = "";
    struct buf input = {0};
    bool from_input = strcmp(run->cli->value, "-") == 0;

    int rc = from_input ? read_input(run, &input) : 0;
    if (rc == 0) {
        rc = value_from_json(from_input ? (struct span){(const char *)input.data, input.len}
                                        : span_of(run->cli->value),
                             bytes, &why);
        if (rc == -EINVAL)
            (void)!buf_printf(&run->error, "the value is no JSON: %s (a text stands in quotes: '\"text\"')",
                              why);
        else if (rc == -ERANGE)
            command_fail(run, "the value can't be stored: %s", why);
        else if (rc != 0)
            command_fail(run, "not enough memory");
    }
    buf_fini(&input);
    return rc;
}

static int ask_change(struct command_run *run, enum control_change change, struct span value)
{
    const struct cli *cli = run->cli;
    const uint8_t kind = (uint8_t)change;
    struct span rest;

    int rc = command_begin_room(run, CONTROL_CHANGE, span_of(cli->party), span_of(cli->room));
    if (rc == 0)
        rc = buf_append(&run->request, &kind, 1);
    if (rc == 0)
        rc = control_put_bytes(&run->request, span_of(cli->key));
    if (rc == 0 && change == CHANGE_PUT)
        rc = control_put_bytes(&run->request, value);
    return command_ask(run, rc, &rest);
}

static int command_put(struct command_run *run)
{
    struct buf bytes = {0};

    int rc = command_check_room(run, span_of(run->cli->party), span_of(run->cli->room));
    if (rc == 0)
        rc = read_value(run, &bytes);
    if (rc == 0)
        rc = ask_change(run, CHANGE_PUT, (struct span){(const char *)bytes.data, bytes.len});
    buf_fini(&bytes);
    return rc;
}

static int command_delete(struct command_run *run)
{
    struct span value;
    bool there = false;

    int rc = ask_key(run, &there, &value);
    if (rc == 0 && !there)
        return no_key(run);
    return rc ? rc : ask_change(run, CHANGE_DELETE, (struct span){0});
}

/* ---- the whole folder ---- */

/* The server has another working directory, maybe. */
static int command_backup(struct command_run *run)
{
    char path[PATH_MAX];
    struct span rest;

    int rc = cli_absolute(run->cli->target, path);
    if (rc == -ENAMETOOLONG)
        return command_fail(run, "%s: the path is too long", run->cli->target);
    if (rc != 0)
        return command_fail(run, "the working directory can't be found: %s", strerror(-rc));
    for (size_t len = strlen(path); len > 1 && path[len - 1] == '/'; len--)
        path[len - 1] = '\0';
    rc = command_begin(run, CONTROL_BACKUP);
    if (rc == 0)
        rc = control_put_bytes(&run->request, span_of(path));
    return command_ask(run, rc, &rest);
}

/* ---- which there are ---- */

static int run_command(struct command_run *run)
{
    switch (run->cli->command) {
    case COMMAND_ROOMS: return command_rooms(run);
    case COMMAND_GET: return command_get(run);
    case COMMAND_PUT: return command_put(run);
    case COMMAND_DELETE: return command_delete(run);
    case COMMAND_EXPORT: return command_export(run);
    case COMMAND_IMPORT: return command_import(run);
    case COMMAND_BACKUP: return command_backup(run);
    default: return -EINVAL;
    }
}

static enum control_use use_of(enum command command)
{
    switch (command) {
    case COMMAND_DELETE: return CONTROL_CHANGES;
    case COMMAND_PUT: return CONTROL_WRITES;
    case COMMAND_IMPORT: return CONTROL_MAKES;
    default: return CONTROL_READS;
    }
}

/* Of how many files the folder is, if it is to be made: as many as the server would make. 0, or negative and says why. */
static int count_files(struct command_run *run, const char *folder, unsigned *n_files)
{
    struct config config;
    int rc = 0;

    *n_files = 1;
    if (run->cli->command != COMMAND_IMPORT || store_sqlite_has_data(folder))
        return 0;
    config_init(&config);
    rc = load_config(&config, run->cli, &run->error);
    if (rc == 0)
        *n_files = (unsigned)config.storage_files;
    config_fini(&config);
    return rc;
}

/* What was written to the standard output has to arrive. */
static int flush(struct command_run *run)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    return command_fail(run, "the output can't be written: %s", strerror(errno));
}

int storage_command(const struct cli *cli)
{
    struct command_run run = {.cli = cli};
    char folder[PATH_MAX];
    unsigned n_files;

    int rc = cli_data_folder(cli, folder);
    if (rc != 0)
        return CLI_FAILURE;
    rc = count_files(&run, folder, &n_files);
    if (rc == 0)
        run.client = control_client_open(folder, use_of(cli->command), n_files, &run.error);
    rc = run.client ? run_command(&run) : -EIO;
    if (rc == 0)
        rc = flush(&run);
    if (rc != 0)
        fprintf(stderr, "festa: %.*s\n", (int)run.error.len, (const char *)run.error.data);
    control_client_close(run.client);
    buf_fini(&run.request);
    buf_fini(&run.answer);
    buf_fini(&run.error);
    return rc == 0 ? 0 : CLI_FAILURE;
}
