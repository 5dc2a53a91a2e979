/* festa storage import: lines of an export, put into rooms. Lines of one room that follow each other are stored
 * together, so many at a time. */
#include "app/command.h"
#include "script/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* After so many bytes a change is sent. */
#define CHANGE_BYTES (64u * 1024u)

struct import {
    struct buf party, room; /* of the change that is being made */
    bool open;              /* there is one, in run->request */
    size_t line;            /* number of the line that is being read */
    size_t first, last;     /* lines that are in the change, blank ones between them too */
    bool refused;           /* the change is what could not be done */
    size_t sent;            /* number of the last one that is stored */
};

static struct span span_in(const struct buf *buf)
{
    return (struct span){(const char *)buf->data, buf->len};
}

/* up_to: the line up to which all is stored then. */
static int send_change(struct command_run *run, struct import *import, size_t up_to)
{
    struct span rest;

    if (!import->open)
        return 0;
    import->open = false;
    int rc = command_ask(run, 0, &rest);
    import->refused = rc != 0;
    if (rc == 0)
        import->sent = up_to;
    return rc;
}

static int copy(struct buf *to, struct span from)
{
    to->len = 0;
    return buf_append(to, from.ptr, from.len);
}

static int add_record(struct command_run *run, const struct record *record)
{
    static const uint8_t kinds[] = {
        [RECORD_KEY] = CHANGE_PUT, [RECORD_ALARM] = CHANGE_ALARM, [RECORD_SELF] = CHANGE_SELF};
    struct buf *request = &run->request;

    int rc = buf_append(request, &kinds[record->kind], 1);
    if (rc == 0 && record->kind == RECORD_ALARM)
        rc = control_put_i64(request, record->alarm);
    if (rc == 0 && record->kind == RECORD_ALARM)
        return control_put_u32(request, record->attempt);
    if (rc == 0 && record->kind == RECORD_KEY)
        rc = control_put_bytes(request, record->key);
    return rc ? rc : control_put_bytes(request, record->value);
}

static int take_record(struct command_run *run, struct import *import, const struct record *record)
{
    bool same = import->open && span_equal(span_in(&import->party), record->party) &&
                span_equal(span_in(&import->room), record->room);

    int rc = same ? 0 : command_check_room(run, record->party, record->room);
    if (rc == 0 && (!same || run->request.len >= CHANGE_BYTES))
        rc = send_change(run, import, import->line - 1);
    if (rc != 0)
        return rc;
    if (!import->open) {
        if (copy(&import->party, record->party) != 0 || copy(&import->room, record->room) != 0 ||
            command_begin_room(run, CONTROL_CHANGE, record->party, record->room) != 0)
            return command_fail(run, "not enough memory");
        import->open = true;
        import->first = import->line;
    }
    import->last = import->line;
    return add_record(run, record) ? command_fail(run, "not enough memory") : 0;
}

static int take_line(struct command_run *run, struct import *import, struct span line)
{
    struct record record;
    struct buf problem = {0};

    int rc = record_read(&record, line, &problem);
    if (rc == 0)
        rc = take_record(run, import, &record);
    else if (problem.len > 0)
        command_fail(run, "%.*s", (int)problem.len, (const char *)problem.data);
    else
        command_fail(run, "not enough memory");
    buf_fini(&problem);
    record_fini(&record);
    return rc;
}

/* Says where it ended, for one that goes on from there. */
static void say_where(struct command_run *run, const struct import *import)
{
    struct buf why = run->error;

    run->error = (struct buf){0};
    if (import->refused && import->first != import->last)
        (void)!buf_printf(&run->error, "lines %zu to %zu (room %.*s of party %.*s)", import->first,
                          import->last, (int)import->room.len, (const char *)import->room.data,
                          (int)import->party.len, (const char *)import->party.data);
    else
        (void)!buf_printf(&run->error, "line %zu", import->refused ? import->last : import->line);
    (void)!buf_printf(&run->error, ": %.*s (lines stored: %zu)", (int)why.len, (const char *)why.data,
                      import->sent);
    buf_fini(&why);
}

int command_import(struct command_run *run)
{
    struct import import = {0};
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int rc = 0;

    while (rc == 0 && (len = getline(&line, &cap, stdin)) >= 0) {
        import.line++;
        struct span text = {line, (size_t)len};
        if (text.len > 0 && text.ptr[text.len - 1] == '\n')
            text.len--;
        if (span_trim(text).len > 0)
            rc = take_line(run, &import, text);
    }
    if (rc == 0 && ferror(stdin))
        rc = command_fail(run, "the standard input can't be read: %s", strerror(errno));
    if (rc == 0)
        rc = send_change(run, &import, import.line);
    if (rc != 0)
        say_where(run, &import);
    else
        printf("lines stored: %zu\n", import.sent);
    free(line);
    buf_fini(&import.party);
    buf_fini(&import.room);
    return rc;
}
