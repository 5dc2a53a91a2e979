/* Carries out what operators' commands ask: each kind of request has a function that begins it, and one that answers
 * when the store, or the thread of the room, has done its part. */
#include "app/control.h"

#include "base/check.h"
#include "room/change.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Rooms in one answer at most: their sizes are counted, and reads wait meanwhile. */
#define ROOMS_MAX 64u

/* One request that is under way, with what its kind needs. */
struct operation {
    const struct control *control;
    void (*done)(void *user, struct buf answer);
    void *user;
    struct buf request;         /* owned */
    struct buf answer;          /* owned */
    struct store_room *room;    /* open for a read; NULL: none */
    struct worker *worker;      /* whose turn it is, or was */
    struct loop_message errand; /* to the worker's thread, and back */
    void (*back)(struct operation *operation);
    union {
        struct store_read read;
        struct store_search search;
        struct store_backup backup;
        struct room_change change;
    };
    char path[PATH_MAX]; /* BACKUP */
};

/* ---- the end ---- */

static void finish(struct operation *operation)
{
    struct buf answer = operation->answer;

    store_room_release(operation->room);
    buf_fini(&operation->request);
    operation->done(operation->user, answer);
    free(operation);
}

static void refuse(struct operation *operation, const char *why)
{
    control_refuse(&operation->answer, why ? why : "not enough memory");
    finish(operation);
}

/* The store has failed; file: of what, or NULL. */
static void refuse_for(struct operation *operation, const char *file, const char *why)
{
    char text[PATH_MAX + STORE_TEXT_MAX];

    snprintf(text, sizeof text, "%s%s%s", file ? file : "", file ? ": " : "", why);
    refuse(operation, text);
}

/* rc: of what the answer was made with. */
static void finish_or_refuse(struct operation *operation, int rc)
{
    if (rc == 0 && operation->answer.len <= CONTROL_MAX)
        finish(operation);
    else
        refuse(operation, rc ? "not enough memory" : "the answer is too large");
}

static void malformed(struct operation *operation)
{
    refuse(operation, "the server does not understand this command: it is of another version");
}

/* ---- reads ---- */

static int answer_entries(struct operation *operation, const struct store_read *read)
{
    struct buf *answer = &operation->answer;
    int rc = 0;

    if (read->kind == STORE_HEAD && (rc = control_put_i64(answer, read->alarm)) == 0)
        rc = control_put_u32(answer, read->attempt);
    if (rc == 0)
        rc = control_put_u32(answer, read->kind == STORE_LIST ? read->more : read->n_entries);
    return rc ? rc : buf_append(answer, read->entries.data, read->entries.len);
}

static void on_read(struct store_read *read)
{
    struct operation *operation = container_of(read, struct operation, read);
    struct span rest = {(const char *)read->entries.data, read->entries.len}, key;

    if (read->result != STORE_OK) {
        buf_fini(&read->entries);
        buf_fini(&read->keys);
        refuse_for(operation, read->file, read->text);
        return;
    }
    if (read->kind == STORE_GET && store_next_bytes(&rest, &key)) /* which is known */
        buf_consume(&read->entries, read->entries.len - rest.len);
    int rc = answer_entries(operation, read);
    buf_fini(&read->entries);
    buf_fini(&read->keys);
    finish_or_refuse(operation, rc);
}

static void begin_read(struct operation *operation, enum store_read_kind kind, struct span rest)
{
    struct store_read *read = &operation->read;
    struct span party, id, key = {0};

    *read = (struct store_read){.kind = kind, .done = on_read};
    if (!control_take_bytes(&rest, &party) || !control_take_bytes(&rest, &id) ||
        (kind != STORE_HEAD && !control_take_bytes(&rest, &key)) || rest.len > 0) {
        malformed(operation);
        return;
    }
    read->start = key;
    operation->room = read->room =
        store_room_open(operation->control->store, operation->control->loop, party, id);
    if (!read->room || (kind == STORE_GET && store_put_bytes(&read->keys, key) != 0)) {
        refuse(operation, NULL);
        return;
    }
    store_read(read);
}

/* ---- rooms ---- */

static void on_search(struct store_search *search)
{
    struct operation *operation = container_of(search, struct operation, search);

    if (search->result != STORE_OK) {
        buf_fini(&search->found);
        refuse_for(operation, search->file, search->text);
        return;
    }
    int rc = buf_append(&operation->answer, search->found.data, search->found.len);
    buf_fini(&search->found);
    finish_or_refuse(operation, rc);
}

static struct span or_none(struct span span)
{
    return span.len > 0 ? span : (struct span){0};
}

static void begin_search(struct operation *operation, struct span rest)
{
    struct store_search *search = &operation->search;

    *search = (struct store_search){.store = operation->control->store,
                                    .loop = operation->control->loop,
                                    .kind = STORE_USAGE,
                                    .done = on_search};
    if (!control_take_bytes(&rest, &search->party) || !control_take_bytes(&rest, &search->prefix) ||
        !control_take_bytes(&rest, &search->after_party) || !control_take_bytes(&rest, &search->after_id) ||
        !control_take_u32(&rest, &search->limit) || rest.len > 0) {
        malformed(operation);
        return;
    }
    search->party = or_none(search->party);
    search->after_party = or_none(search->after_party);
    search->after_id = or_none(search->after_id);
    if (search->limit == 0 || search->limit > ROOMS_MAX)
        search->limit = ROOMS_MAX;
    store_search(search);
}

/* ---- on a worker's thread, and back ---- */

static void on_back(struct loop_message *message)
{
    struct operation *operation = container_of(message, struct operation, errand);

    loop_job_end(operation->control->loop);
    operation->control->workers->team.away--;
    operation->back(operation);
}

static void send_back(struct operation *operation)
{
    operation->errand.fn = on_back;
    loop_post(operation->control->loop, &operation->errand);
}

/* The worker's thread does not end before the operation is back. */
static void send_to(struct operation *operation, struct worker *worker,
                    void (*there)(struct loop_message *message), void (*back)(struct operation *))
{
    operation->worker = worker;
    operation->back = back;
    operation->errand.fn = there;
    operation->control->workers->team.away++;
    loop_job_begin(operation->control->loop);
    loop_post(&worker->loop, &operation->errand);
}

static int add_room(struct buf *answer, const struct room *room)
{
    int rc = control_put_bytes(answer, room->rooms->script->party_name(room->party));
    if (rc == 0)
        rc = control_put_bytes(answer, span_of(room->id));
    return rc ? rc : control_put_u32(answer, room->n_connected);
}

static void list_memory(struct loop_message *message)
{
    struct operation *operation = container_of(message, struct operation, errand);
    int rc = control_put_u32(&operation->answer, operation->control->workers->count);

    list_each(link, &operation->worker->rooms.all) {
        const struct room *room = container_of(link, struct room, in_all);
        if (rc == 0 && !room->lobby)
            rc = add_room(&operation->answer, room);
    }
    if (rc != 0)
        control_refuse(&operation->answer, "not enough memory");
    send_back(operation);
}

static void memory_listed(struct operation *operation)
{
    finish_or_refuse(operation, 0);
}

static void begin_memory(struct operation *operation, struct span rest)
{
    struct workers *workers = operation->control->workers;
    uint32_t thread;

    if (!control_take_u32(&rest, &thread) || rest.len > 0 || (workers && thread >= workers->count))
        malformed(operation);
    else if (!workers)
        finish_or_refuse(operation, control_put_u32(&operation->answer, 0));
    else
        send_to(operation, &workers->items[thread], list_memory, memory_listed);
}

/* ---- changes ---- */

static const char *why_not_changed(const struct room_change *change)
{
    switch (change->result) {
    case -EBUSY: return "the room is in memory, and has a self of its own: do it without the server";
    case -ESHUTDOWN: return "the server is stopping";
    case -ENODEV: return "the server runs without a data folder";
    case -ENOBUFS: return "that is more at once than a room may write (roomMemory)";
    case -ENOMEM: return "not enough memory";
    default: return change->text ? change->text : "the store has failed; the server's log says why";
    }
}

static void changed(struct operation *operation)
{
    struct room_change *change = &operation->change;

    buf_fini(&change->batch.ops);
    if (change->result == 0)
        finish(operation);
    else
        refuse_for(operation, change->file, why_not_changed(change));
}

static void on_changed_here(struct room_change *change)
{
    changed(container_of(change, struct operation, change));
}

static void on_changed_there(struct room_change *change)
{
    send_back(container_of(change, struct operation, change));
}

static void change_there(struct loop_message *message)
{
    struct operation *operation = container_of(message, struct operation, errand);
    rooms_change(&operation->worker->rooms, &operation->change);
}

/* 0, -ENOMEM, or -EINVAL: it is none. */
static int add_change(struct store_batch *batch, struct span *rest)
{
    struct span key, value;
    uint8_t kind;
    int64_t time;
    uint32_t attempt;

    if (!control_take_u8(rest, &kind))
        return -EINVAL;
    switch (kind) {
    case CHANGE_PUT:
        if (!control_take_bytes(rest, &key) || !control_take_bytes(rest, &value) || key.len == 0)
            return -EINVAL;
        return store_batch_put(batch, key, value);
    case CHANGE_DELETE: return control_take_bytes(rest, &key) ? store_batch_delete(batch, key) : -EINVAL;
    case CHANGE_ALARM:
        if (!control_take_i64(rest, &time) || !control_take_u32(rest, &attempt) || time < 0)
            return -EINVAL;
        return store_batch_alarm(batch, time, attempt);
    case CHANGE_SELF: return control_take_bytes(rest, &value) ? store_batch_self(batch, value) : -EINVAL;
    default: return -EINVAL;
    }
}

static void begin_change(struct operation *operation, struct span rest)
{
    struct workers *workers = operation->control->workers;
    struct room_change *change = &operation->change;
    int rc = 0;

    *change = (struct room_change){.done = workers ? on_changed_there : on_changed_here};
    if (!control_take_bytes(&rest, &change->party) || !control_take_bytes(&rest, &change->id)) {
        malformed(operation);
        return;
    }
    while (rc == 0 && rest.len > 0)
        rc = add_change(&change->batch, &rest);
    if (rc != 0) {
        buf_fini(&change->batch.ops);
        if (rc == -EINVAL)
            malformed(operation);
        else
            refuse(operation, NULL);
    } else if (workers) {
        size_t share = rooms_share_of(change->party, change->id, workers->count);
        send_to(operation, &workers->items[share], change_there, changed);
    } else {
        room_change_stored(operation->control->store, operation->control->loop, change);
    }
}

/* ---- backups ---- */

static void on_backup(struct store_backup *backup)
{
    struct operation *operation = container_of(backup, struct operation, backup);

    if (backup->result == STORE_OK)
        finish(operation);
    else
        refuse(operation, backup->text);
}

static void begin_backup(struct operation *operation, struct span rest)
{
    struct span path;

    if (!control_take_bytes(&rest, &path) || rest.len > 0 || path.len == 0 ||
        path.len >= sizeof operation->path) {
        malformed(operation);
        return;
    }
    memcpy(operation->path, path.ptr, path.len);
    operation->path[path.len] = '\0';
    operation->backup = (struct store_backup){.store = operation->control->store,
                                              .loop = operation->control->loop,
                                              .path = operation->path,
                                              .done = on_backup};
    store_backup(&operation->backup);
}

/* ---- any ---- */

static void begin(struct operation *operation)
{
    struct span rest = {(const char *)operation->request.data, operation->request.len};
    uint8_t version, request;

    if (!control_take_u8(&rest, &version) || !control_take_u8(&rest, &request) ||
        version != CONTROL_VERSION) {
        malformed(operation);
        return;
    }
    if (!operation->control->store) {
        refuse(operation, "the server runs without a data folder");
        return;
    }
    switch (request) {
    case CONTROL_ROOMS: begin_search(operation, rest); break;
    case CONTROL_MEMORY: begin_memory(operation, rest); break;
    case CONTROL_GET: begin_read(operation, STORE_GET, rest); break;
    case CONTROL_LIST: begin_read(operation, STORE_LIST, rest); break;
    case CONTROL_HEAD: begin_read(operation, STORE_HEAD, rest); break;
    case CONTROL_CHANGE: begin_change(operation, rest); break;
    case CONTROL_BACKUP: begin_backup(operation, rest); break;
    default: malformed(operation);
    }
}

void control_run(const struct control *control, struct span request,
                 void (*done)(void *user, struct buf answer), void *user)
{
    const uint8_t well = 0;
    struct operation *operation = xcalloc(sizeof *operation);

    operation->control = control;
    operation->done = done;
    operation->user = user;
    if (buf_append(&operation->request, request.ptr, request.len) != 0 ||
        buf_append(&operation->answer, &well, 1) != 0)
        refuse(operation, NULL);
    else
        begin(operation);
}
