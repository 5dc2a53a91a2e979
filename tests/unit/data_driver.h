/* Rooms with the fake store whose handlers do what their messages say: a message is a program, commands with ";"
 * between them. What they read is said, and what peers are sent; fake_expect compares it.
 *
 *   put K V, del K, clear      write
 *   get K…                     says K=V, or K=nil
 *   list S F [N] [r]           says what is from S up to F ("-": no end), in pages of N (0: any), reversed
 *   begin, keep, undo          a transaction
 *   sync, relieve              wait
 *   alarm N, alarm?            sets and says the alarm, of a time far off (DATA_ALARM + N)
 *   send T                     to the peer whose message it is, else to all
 *   sleep                      waits for something other than the store, until data_wake
 *   fail, restart, destroy     the handler fails; the VM is to be made anew; the room is to be forgotten
 *
 * In words %xx is a byte. Handlers of a room's start and stop run data->on_start and on_stop, a request's runs
 * data->on_request. */
#pragma once

#include "fake_room.h"

#include <errno.h>

#define DATA_ALARM INT64_C(4000000000000)

#define DATA_WORDS 8

struct data_command {
    struct span words[DATA_WORDS];
    size_t n;
    struct buf said; /* what it has read */
    int rc;          /* of a write */
};

struct data_program {
    struct list link;
    struct room *room;
    struct event *event;
    char *text, *at; /* at: the command that is to run */
    bool came;       /* what it waited for */
    struct buf found, border;
    bool paging;
};

struct data_world {
    struct fake *fake;
    struct list programs;
    const char *on_start, *on_stop, *on_request;
    /* After a command of a handler; NULL: what was read is said. */
    void (*did)(struct data_world *data, struct room *room, struct data_command *command);
    /* A turn, or a part of one that ends with a wait for the store, is over. */
    void (*turned)(struct data_world *data, struct room *room, enum act act, bool store);
    void *user;
};

/* ---- words ---- */

static inline char *data_unescape(char *word, size_t *len)
{
    char *to = word;
    for (const char *from = word; *from; from++, to++) {
        unsigned byte;
        if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1) {
            *to = (char)byte;
            from += 2;
        } else {
            *to = *from;
        }
    }
    *len = (size_t)(to - word);
    return word;
}

static inline void data_escape(struct buf *out, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        assert_int_equal(c > ' ' && c < 0x7f ? buf_append(out, &c, 1) : buf_printf(out, "%%%02x", c), 0);
    }
}

static inline void data_say_entry(struct buf *out, struct span key, const struct span *value)
{
    if (out->len > 0)
        assert_int_equal(buf_append(out, " ", 1), 0);
    data_escape(out, key);
    assert_int_equal(buf_append(out, "=", 1), 0);
    data_escape(out, value ? *value : SPAN("nil"));
}

static inline bool data_is(const struct data_command *command, const char *name)
{
    return span_equal(command->words[0], span_of(name));
}

/* Takes the program's next command apart, in text of the caller's. false: it is over. */
static inline bool data_parse(const struct data_program *program, struct data_command *command, char **text)
{
    *command = (struct data_command){0};
    size_t len = strcspn(program->at, ";");
    char *rest = *text = strndup(program->at, len), *word;
    while ((word = strsep(&rest, " ")) != NULL) {
        if (!*word)
            continue;
        assert_true(command->n < DATA_WORDS);
        struct span *into = &command->words[command->n++];
        into->ptr = data_unescape(word, &into->len);
    }
    return command->n > 0;
}

/* ---- commands ---- */

/* The handler of the turn that runs is about to wait for the store. */
static inline struct fake_task *data_waits(struct room *room)
{
    struct fake *fake = room->rooms->script_user;
    assert_null(fake->waits);
    fake->waits = calloc(1, sizeof *fake->waits);
    assert_non_null(fake->waits);
    return fake->waits;
}

static inline void data_waits_not(struct room *room)
{
    struct fake *fake = room->rooms->script_user;
    free(fake->waits);
    fake->waits = NULL;
}

/* What came; false: it could not be read, which is said. */
static inline bool data_came(struct data_program *program, struct data_command *command,
                             struct data_answer *answer)
{
    program->came = false;
    data_take(program->room, answer);
    if (answer->result == 0)
        return true;
    assert_int_equal(answer->result, -EIO);
    buf_fini(&answer->entries);
    buf_fini(&answer->end);
    program->found.len = 0;
    program->paging = false;
    assert_int_equal(buf_printf(&command->said, "failed: %s", answer->text), 0);
    return false;
}

static inline bool data_do_get(struct data_program *program, struct data_command *command)
{
    struct room *room = program->room;
    struct data_answer answer = {0};
    struct span value;
    bool known = true;

    if (program->came && !data_came(program, command, &answer))
        return true;
    buf_fini(&answer.entries);
    for (size_t i = 1; i < command->n; i++)
        known = known && data_get(room, command->words[i], &value) != DATA_UNKNOWN;
    if (!known) {
        assert_int_equal(data_ask(room, command->words + 1, command->n - 1, data_waits(room)), 0);
        return false;
    }
    for (size_t i = 1; i < command->n; i++) {
        bool present = data_get(room, command->words[i], &value) == DATA_PRESENT;
        data_say_entry(&command->said, command->words[i], present ? &value : NULL);
    }
    return true;
}

static inline bool data_do_list(struct data_program *program, struct data_command *command)
{
    struct room *room = program->room;
    struct span none = SPAN("-"), *words = command->words, rest, key, value;
    struct data_range range = {.reverse = command->n > 4,
                               .limit = command->n > 3 ? (uint32_t)strtoul(words[3].ptr, NULL, 10) : 0};
    struct data_answer answer = {0};

    range.start = span_equal(words[1], none) ? SPAN("") : words[1];
    range.finish = span_equal(words[2], none) ? (struct span){0} : words[2];
    if (program->came) {
        if (!data_came(program, command, &answer))
            return true;
        rest = (struct span){(const char *)answer.entries.data, answer.entries.len};
        while (store_next_bytes(&rest, &key) && store_next_bytes(&rest, &value))
            data_say_entry(&program->found, key, &value);
        buf_fini(&answer.entries);
        buf_fini(&program->border);
        program->border = answer.end;
        if (!answer.more) {
            assert_int_equal(buf_printf(&command->said, "[%.*s]", (int)program->found.len,
                                        program->found.len ? (char *)program->found.data : ""),
                             0);
            program->found.len = 0;
            program->paging = false;
            return true;
        }
        if (!range.reverse)
            assert_int_equal(buf_append(&program->border, "", 1), 0); /* behind it */
        program->paging = true;
    }
    if (program->paging)
        *(range.reverse ? &range.finish : &range.start) =
            (struct span){(const char *)program->border.data, program->border.len};
    assert_int_equal(data_ask_range(room, &range, data_waits(room)), 0);
    return false;
}

/* 0 is none. */
static inline int64_t data_alarm_time(struct span word)
{
    int64_t n = strtoll(word.ptr, NULL, 10);
    return n ? DATA_ALARM + n : 0;
}

static inline bool data_do_alarm(struct data_program *program, struct data_command *command)
{
    struct data_answer answer = {0};
    int64_t time;

    if (program->came && !data_came(program, command, &answer))
        return true;
    buf_fini(&answer.entries);
    if (!data_alarm(program->room, &time)) {
        assert_int_equal(data_ask_head(program->room, data_waits(program->room)), 0);
        return false;
    }
    assert_int_equal(buf_printf(&command->said, "alarm %lld", (long long)(time ? time - DATA_ALARM : 0)), 0);
    return true;
}

static inline bool data_do_wait(struct data_program *program, bool (*wait)(struct room *room, void *handle))
{
    if (program->came) {
        program->came = false;
        return true;
    }
    if (wait(program->room, data_waits(program->room)))
        return false;
    data_waits_not(program->room);
    return true;
}

static inline void data_do_send(struct data_program *program, struct span text)
{
    struct event *event = program->event;
    struct bytes *bytes = bytes_copy(text.ptr, text.len);
    if (event && event->peer)
        (void)room_send(event->peer, bytes, false);
    else
        (void)room_broadcast(program->room, bytes, false, NULL, 0);
    bytes_unref(bytes);
}

/* Returns whether it is done; otherwise the handler waits for the store. */
static inline bool data_do(struct data_program *program, struct data_command *command)
{
    struct room *room = program->room;
    struct span *words = command->words;

    if (data_is(command, "put"))
        command->rc = data_put(room, words[1], command->n > 2 ? words[2] : SPAN(""));
    else if (data_is(command, "del"))
        command->rc = data_delete(room, words[1]);
    else if (data_is(command, "clear"))
        command->rc = data_clear(room);
    else if (data_is(command, "alarm"))
        command->rc = data_set_alarm(room, data_alarm_time(words[1]));
    else if (data_is(command, "get"))
        return data_do_get(program, command);
    else if (data_is(command, "list"))
        return data_do_list(program, command);
    else if (data_is(command, "alarm?"))
        return data_do_alarm(program, command);
    else if (data_is(command, "begin"))
        assert_int_equal(data_transaction_begin(room), 0);
    else if (data_is(command, "keep") || data_is(command, "undo"))
        data_transaction_end(room, data_is(command, "keep"));
    else if (data_is(command, "sync"))
        return data_do_wait(program, data_sync);
    else if (data_is(command, "relieve"))
        return data_do_wait(program, data_relieve);
    else if (data_is(command, "send"))
        data_do_send(program, words[1]);
    else if (data_is(command, "restart"))
        room_restart(room);
    else if (data_is(command, "destroy"))
        assert_int_equal(room_destroy(room), 0);
    else
        fail_msg("what is %.*s?", (int)words[0].len, words[0].ptr);
    if (command->rc)
        assert_int_equal(buf_printf(&command->said, "error %d", command->rc), 0);
    return true;
}

/* ---- programs ---- */

static inline void data_program_free(struct data_program *program)
{
    list_remove(&program->link);
    buf_fini(&program->found);
    buf_fini(&program->border);
    free(program->text);
    free(program);
}

static inline enum act data_run_program(struct data_world *data, struct data_program *program)
{
    struct room *room = program->room;
    struct data_command command;
    enum act act = ACT_DONE;
    bool store = false;
    char *text;

    while (act == ACT_DONE && data_parse(program, &command, &text)) {
        size_t len = strcspn(program->at, ";");
        if (data_is(&command, "fail") || data_is(&command, "sleep")) {
            act = data_is(&command, "fail") ? ACT_FAIL : ACT_WAIT;
        } else if (!data_do(program, &command)) {
            act = ACT_WAIT;
            store = true;
        } else if (data->did) {
            data->did(data, room, &command);
        } else if (command.said.len > 0) {
            fake_say(data->fake, "%.*s", (int)command.said.len, (char *)command.said.data);
        }
        if (!store)
            program->at += len + (program->at[len] == ';');
        buf_fini(&command.said);
        free(text);
        text = NULL;
    }
    if (act == ACT_DONE)
        free(text);
    if (data->turned)
        data->turned(data, room, act, store);
    if (act != ACT_WAIT)
        data_program_free(program);
    return act;
}

/* What was said last is only what the test has said itself. */
static inline void data_unsay(struct fake *fake, size_t len)
{
    assert_true(fake->log.len >= len);
    fake->log.len -= fake->log.len > len ? len + 2 : len;
}

static inline enum act data_handle(struct fake *fake, struct room *room, struct event *event)
{
    struct data_world *data = fake->user;
    const char *text = NULL;

    list_each_safe(link,
                   &data->programs) { /* of a handler that was dropped, whose event's memory this is now */
        if (container_of(link, struct data_program, link)->event == event)
            data_program_free(container_of(link, struct data_program, link));
    }
    if (event->kind == EVENT_MESSAGE) {
        data_unsay(fake, strlen(room->id) + strlen(":message  ") + strlen(event->peer->id) + event->len);
        text = (const char *)event->data;
    }
    if (event->kind == EVENT_START)
        text = data->on_start;
    if (event->kind == EVENT_STOP)
        text = data->on_stop;
    if (event->kind == EVENT_REQUEST)
        text = data->on_request;
    if (!text)
        return ACT_DONE;
    struct data_program *program = calloc(1, sizeof *program);
    assert_non_null(program);
    program->room = room;
    program->event = event;
    program->text = program->at = event->kind == EVENT_MESSAGE ? strndup(text, event->len) : strdup(text);
    list_push(&data->programs, &program->link);
    return data_run_program(data, program);
}

static inline enum act data_resumed(struct fake *fake, struct room *room, struct event *event)
{
    struct data_world *data = fake->user;

    data_unsay(fake, strlen(room->id) + strlen(":wake"));
    list_each(link, &data->programs) {
        struct data_program *program = container_of(link, struct data_program, link);
        if (program->event != event || program->room != room)
            continue;
        program->came = fake->from_store;
        return data_run_program(data, program);
    }
    fail_msg("nothing waits here");
    return ACT_DONE;
}

/* ---- what tests do ---- */

static inline struct data_world *data_begin_with(const struct room_limits *limits)
{
    struct data_world *data = calloc(1, sizeof *data);
    assert_non_null(data);
    list_init(&data->programs);
    static const struct room_limits usual = {.events = 1024,
                                             .handlers = 256,
                                             .idle_ms = 1000000,
                                             .output = 4 << 20};
    data->fake = fake_begin(limits ? limits : &usual);
    data->fake->handler = data_handle;
    data->fake->resumed = data_resumed;
    data->fake->user = data;
    return data;
}

static inline struct data_world *data_begin(void)
{
    return data_begin_with(NULL);
}

static inline void data_end(struct data_world *data)
{
    fake_end(data->fake);
    while (!list_empty(&data->programs)) /* of handlers that were dropped */
        data_program_free(container_of(data->programs.next, struct data_program, link));
    free(data);
}

/* A room that runs, with one peer that is in. */
static inline struct fake_peer *data_peer(struct data_world *data, const char *room, const char *id)
{
    struct fake_peer *peer = fake_connect(data->fake, fake_room(data->fake, room), id);
    fake_run(data->fake);
    while (fake_store_answer(&data->fake->store, STORE_OK))
        fake_run(data->fake);
    fake_forget(data->fake);
    return peer;
}

/* A message, and all that it does until somebody has to wait. */
static inline void data_tell(struct data_world *data, struct fake_peer *peer, const char *program)
{
    fake_message(peer, program);
    fake_run(data->fake);
}

/* The oldest batch ends. */
static inline void data_batch(struct data_world *data, enum store_result result)
{
    struct store_batch *batch = fake_store_next(&data->fake->store, NULL);
    assert_non_null(batch);
    fake_store_end(&data->fake->store, batch, result);
    fake_run(data->fake);
}

/* The oldest read is answered. */
static inline void data_answer(struct data_world *data, enum store_result result)
{
    assert_true(fake_store_answer(&data->fake->store, result));
    fake_run(data->fake);
}

/* The oldest handler that sleeps goes on. */
static inline void data_wake(struct data_world *data)
{
    for (size_t n = 0;; n++) {
        if (fake_task(data->fake, n)->woken)
            continue;
        fake_wake(data->fake, n);
        break;
    }
    fake_run(data->fake);
}

/* All that is waited for comes, but for sleeping. */
static inline void data_settle(struct data_world *data)
{
    struct fake_store *store = &data->fake->store;
    do {
        fake_store_settle(store);
        fake_run(data->fake);
    } while (!list_empty(&store->batches) || !list_empty(&store->reads));
}

/* The same; then this was said. */
#define data_settled(data, want)                                                                             \
    do {                                                                                                     \
        data_settle(data);                                                                                   \
        fake_expect((data)->fake, want);                                                                     \
    } while (0)
