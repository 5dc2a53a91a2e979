/* festa storage export: all that rooms have stored, as lines of script/record.h. Each room is read page by page, so
 * one that is at work meanwhile may be seen between two of its turns' writes; a backup is of one moment. */
#include "app/command.h"
#include "script/record.h"

#include <errno.h>
#include <stdio.h>

/* What it needs for one line after the other. */
struct export
{
    struct buf line;
};

static int write_record(struct command_run *run, struct export *export, const struct record *record)
{
    export->line.len = 0;
    int rc = record_write(&export->line, record);
    if (rc == -EINVAL)
        return command_fail(run,
                            "party %.*s, room %.*s, key %.*s: what is stored is damaged, or was written by a "
                            "later version",
                            (int)record->party.len, record->party.ptr, (int)record->room.len,
                            record->room.ptr, (int)record->key.len, record->key.ptr ? record->key.ptr : "");
    if (rc != 0)
        return command_fail(run, "not enough memory");
    if (fwrite(export->line.data, 1, export->line.len, stdout) != export->line.len)
        return command_fail(run, "the output can't be written: %s", strerror(errno));
    return 0;
}

static int export_head(struct command_run *run, struct export *export, struct span party, struct span id)
{
    struct record record = {.party = party, .room = id};
    struct span rest;
    uint32_t has_self = 0;

    int rc = command_ask(run, command_begin_room(run, CONTROL_HEAD, party, id), &rest);
    if (rc != 0)
        return rc;
    if (!control_take_i64(&rest, &record.alarm) || !control_take_u32(&rest, &record.attempt) ||
        !control_take_u32(&rest, &has_self) || (has_self && !control_take_bytes(&rest, &record.value)))
        return command_fail(run, "the server's answer is damaged");
    record.kind = RECORD_ALARM;
    if (record.alarm)
        rc = write_record(run, export, &record);
    record.kind = RECORD_SELF;
    if (rc == 0 && has_self)
        rc = write_record(run, export, &record);
    return rc;
}

/* Asks for the keys from start on. */
static int ask_page(struct command_run *run, struct span party, struct span id, const struct buf *start,
                    struct span *rest)
{
    int rc = command_begin_room(run, CONTROL_LIST, party, id);
    if (rc == 0)
        rc = control_put_bytes(&run->request, (struct span){(const char *)start->data, start->len});
    return command_ask(run, rc, rest);
}

static int export_keys(struct command_run *run, struct export *export, struct span party, struct span id)
{
    struct record record = {.party = party, .room = id, .kind = RECORD_KEY};
    struct buf start = {0};
    struct span rest;
    uint32_t more = 1;
    int rc = 0;

    while (more && rc == 0 && (rc = ask_page(run, party, id, &start, &rest)) == 0) {
        if (!control_take_u32(&rest, &more))
            rc = command_fail(run, "the server's answer is damaged");
        while (rc == 0 && control_take_bytes(&rest, &record.key) && control_take_bytes(&rest, &record.value))
            rc = write_record(run, export, &record);
        start.len = 0; /* the smallest key behind the last one */
        if (rc == 0 && more &&
            (buf_append(&start, record.key.ptr, record.key.len) != 0 || buf_append(&start, "", 1) != 0))
            rc = command_fail(run, "not enough memory");
    }
    buf_fini(&start);
    return rc;
}

static int export_room(struct command_run *run, const struct store_found *room, void *user)
{
    int rc = export_keys(run, user, room->party, room->id);
    return rc ? rc : export_head(run, user, room->party, room->id);
}

int command_export(struct command_run *run)
{
    struct export export = {0};
    struct store_found only = {.party = span_of(run->cli->party), .id = span_of(run->cli->room)};

    int rc = run->cli->room ? export_room(run, &only, &export) : command_each_room(run, export_room, &export);
    buf_fini(&export.line);
    return rc;
}
