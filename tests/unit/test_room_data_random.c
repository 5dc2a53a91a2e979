/* What rooms store under thousands of random histories, beside a plain model: what a handler reads is what the
 * room's turns have written, in their order; what is stored is what the first so many of its batches made; and what
 * peers hear comes in order, and only when it is stored with all before it. */
#include "data_driver.h"

#define RUNS 2000
#define OPERATIONS 480
#define ROOMS 2
#define KEYS 8
#define SENDS 4096
#define UNDER_WAY 512
#define HELD 4

/* In bytewise order; as programs have them, and as they are. */
static const char *const key_words[KEYS] = {"%00", "a", "a%00", "b", "c", "%fe", "%ff", "%ff%ff"};

static uint64_t seed, random_state;

static uint64_t dice(uint64_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % sides;
}

static bool once_in(uint64_t n)
{
    return dice(n) == 0;
}

/* A room's keys: the number of the value; 0: none. */
struct content {
    uint32_t values[KEYS];
};

struct model {
    const char *id;
    struct content seen;   /* what its handlers see */
    struct content before; /* the transaction that runs */
    struct content stored;
    bool transaction;
    uint64_t submitted, ended, epoch;
    uint64_t order;               /* of what was sent */
    uint64_t open[SENDS], n_open; /* sent in a turn that is not over */
};

struct sent {
    struct model *model;
    uint64_t order, gate, epoch;
    bool decided; /* gate is that of its turn's end */
};

static struct history {
    struct data_world *data;
    struct model models[ROOMS];
    struct sent sent[SENDS];
    uint64_t n_sent, n_values;
    struct {
        struct store_batch *batch;
        struct model *model;
        struct content content;
        unsigned turns; /* that it has */
    } under_way[UNDER_WAY];
    size_t n_under_way;
    struct store_read *held[HELD]; /* carried out, not answered */
    struct fake_exchange requests[OPERATIONS];
    size_t n_requests;
    bool large; /* half of the values that messages put are large */
    char start[256], stop[256], request[256];
} history;

static struct {
    size_t reads, lists, asked, heard, gated, failures, rollbacks, clears, held, restarts, full, syncs,
        evicted, joined;
} seen;

static struct model *model_of(const char *id)
{
    for (size_t i = 0; i < ROOMS; i++) {
        if (strcmp(history.models[i].id, id) == 0)
            return &history.models[i];
    }
    fail_msg("no room %s", id);
    return NULL;
}

/* ---- values: a number; an odd one has much behind it ---- */

static size_t value_len(uint32_t value)
{
    return value % 2 ? 250000 : 0;
}

static void say_value(struct buf *out, uint32_t value)
{
    char number[16];
    int n = snprintf(number, sizeof number, "%u", value);
    assert_int_equal(buf_append(out, number, (size_t)n), 0);
    size_t len = value_len(value);
    assert_int_equal(buf_reserve(out, len + 1), 0);
    memset(out->data + out->len, 'v', len);
    out->len += len;
}

static void say_pair(struct buf *out, const char *word, uint32_t value)
{
    if (out->len > 0 && out->data[out->len - 1] != '[')
        assert_int_equal(buf_append(out, " ", 1), 0);
    assert_int_equal(buf_printf(out, "%s=", word), 0);
    if (value)
        say_value(out, value);
    else
        assert_int_equal(buf_append(out, "nil", 3), 0);
}

/* ---- the model ---- */

static size_t key_number(struct span key)
{
    for (size_t i = 0; i < KEYS; i++) {
        char word[16];
        size_t len;
        strcpy(word, key_words[i]);
        data_unescape(word, &len);
        if (span_equal(key, (struct span){word, len}))
            return i;
    }
    fail_msg("no such key");
    return 0;
}

static void take_back(struct model *model)
{
    if (model->transaction)
        model->seen = model->before;
    seen.rollbacks += model->transaction;
    model->transaction = false;
}

static void expect_get(const struct model *model, const struct data_command *command)
{
    struct buf want = {0};
    for (size_t i = 1; i < command->n; i++) {
        size_t key = key_number(command->words[i]);
        say_pair(&want, key_words[key], model->seen.values[key]);
    }
    assert_int_equal(want.len, command->said.len);
    assert_memory_equal(want.data, command->said.data, want.len);
    buf_fini(&want);
    seen.reads++;
}

static void expect_list(const struct model *model, const struct data_command *command)
{
    struct buf want = {0};
    struct span none = SPAN("-");
    bool reverse = command->n > 4;
    size_t from = span_equal(command->words[1], none) ? 0 : key_number(command->words[1]);
    size_t to = span_equal(command->words[2], none) ? KEYS : key_number(command->words[2]);

    assert_int_equal(buf_append(&want, "[", 1), 0);
    for (size_t i = 0; i < KEYS; i++) {
        size_t key = reverse ? KEYS - 1 - i : i;
        if (key >= from && key < to && model->seen.values[key])
            say_pair(&want, key_words[key], model->seen.values[key]);
    }
    assert_int_equal(buf_append(&want, "]", 1), 0);
    assert_int_equal(want.len, command->said.len);
    assert_memory_equal(want.data, command->said.data, want.len);
    buf_fini(&want);
    seen.lists++;
}

static void note_send(struct model *model, struct span text)
{
    uint64_t number = strtoull(text.ptr, NULL, 10);
    struct sent *sent = &history.sent[number];
    *sent = (struct sent){.model = model,
                          .order = ++model->order,
                          .gate = model->submitted,
                          .epoch = model->epoch};
    model->open[model->n_open++] = number;
}

/* A command was carried out. */
static void did(struct data_world *data, struct room *room, struct data_command *command)
{
    struct model *model = model_of(room->id);
    struct span *words = command->words;

    (void)data;
    if (command->said.len >= 6 && memcmp(command->said.data, "failed", 6) == 0)
        return;
    if (command->rc) {
        assert_int_equal(command->rc, -ENOBUFS);
        seen.full++;
        return;
    }
    bool ends = data_is(command, "keep") || data_is(command, "undo");
    if (!ends && model->transaction && (data_is(command, "begin") || !data_transaction(room)))
        take_back(model); /* of a handler that was dropped */
    if (data_is(command, "put")) {
        model->seen.values[key_number(words[1])] = (uint32_t)strtoul(words[2].ptr, NULL, 10);
    } else if (data_is(command, "del")) {
        model->seen.values[key_number(words[1])] = 0;
    } else if (data_is(command, "clear")) {
        model->seen = (struct content){0};
        seen.clears++;
    } else if (data_is(command, "get")) {
        expect_get(model, command);
    } else if (data_is(command, "list")) {
        expect_list(model, command);
    } else if (data_is(command, "begin")) {
        model->before = model->seen;
        model->transaction = true;
    } else if (data_is(command, "keep")) {
        model->transaction = false;
    } else if (data_is(command, "undo")) {
        take_back(model);
    } else if (data_is(command, "send")) {
        note_send(model, words[1]);
    } else if (data_is(command, "restart")) {
        seen.restarts++;
    } else if (data_is(command, "sync")) {
        assert_true(model->submitted == model->ended);
        assert_memory_equal(&model->seen, &model->stored, sizeof model->seen);
        seen.syncs++;
    }
}

/* What was sent in a turn waits for all that it has written. */
static void turned(struct data_world *data, struct room *room, enum act act, bool store)
{
    struct model *model = model_of(room->id);
    const struct room_data *own = room->data;
    bool writes = own && own->batch && (own->transaction ? own->mark_ops : own->batch->base.n_ops) > 0;

    (void)data;
    (void)act;
    seen.asked += store;
    if (store)
        return;
    for (uint64_t i = 0; i < model->n_open; i++) {
        struct sent *sent = &history.sent[model->open[i]];
        sent->gate = model->submitted + writes;
        sent->decided = true;
        seen.gated += sent->gate > model->ended;
    }
    model->n_open = 0;
}

/* A turn that is cut is over as well: what it has sent waits for what it had written. */
static struct script_ops script;

static void close_vm(void *instance)
{
    model_of(((struct fake_vm *)instance)->room->id)->n_open = 0;
    fake_ops.close(instance);
}

static void run(void *instance, struct event *event)
{
    if (event->kind == EVENT_STOP)
        model_of(((struct fake_vm *)instance)->room->id)->n_open = 0;
    fake_ops.run(instance, event);
}

/* ---- the store ---- */

static void submit(struct store_batch *batch)
{
    struct model *model = model_of(((struct fake_store_room *)(void *)batch->room)->id);

    take_back(model); /* of a handler that was cut */
    assert_true(batch->n_ops > 0);
    assert_true(history.n_under_way < UNDER_WAY);
    history.under_way[history.n_under_way].batch = batch;
    history.under_way[history.n_under_way].model = model;
    history.under_way[history.n_under_way].turns = 1;
    history.under_way[history.n_under_way++].content = model->seen;
    model->submitted++;
    fake_store_submit(batch);
}

/* Some turns become part of the batch before them. */
static bool waits(const struct store_batch *batch)
{
    size_t at = history.n_under_way;

    if (!once_in(2))
        return false;
    do
        assert_true(at-- > 0);
    while (history.under_way[at].batch != batch);
    struct model *model = history.under_way[at].model;
    take_back(model);
    history.under_way[at].content = model->seen;
    history.under_way[at].turns++;
    model->submitted++;
    seen.joined++;
    return true;
}

static void expect_stored(const struct model *model)
{
    struct content found = {0};
    list_each(link, &history.data->fake->store.records) {
        const struct fake_record *record = container_of(link, struct fake_record, link);
        if (strcmp(record->id, model->id) != 0)
            continue;
        char number[16] = "";
        memcpy(number, record->value, record->len < 15 ? record->len : 15);
        uint32_t value = (uint32_t)strtoul(number, NULL, 10);
        found.values[key_number((struct span){record->key, record->key_len})] = value;
        assert_int_equal(record->len,
                         (size_t)snprintf(number, sizeof number, "%u", value) + value_len(value));
    }
    assert_memory_equal(&found, &model->stored, sizeof found);
}

/* Some room's oldest batch is kept, or not. */
static void end_batch(bool fails)
{
    struct fake_store *store = &history.data->fake->store;
    struct store_batch *batch = fake_store_next(store, NULL);
    if (batch && once_in(2)) { /* any room's */
        size_t i = dice(store->n_batches);
        list_each(link, &store->batches) {
            if (i-- == 0)
                batch = fake_store_next(store, container_of(link, struct store_batch, link)->room);
        }
    }
    if (!batch)
        return;
    size_t at = 0;
    while (history.under_way[at].batch != batch)
        at++;
    struct model *model = history.under_way[at].model;
    struct content content = history.under_way[at].content;
    unsigned turns = history.under_way[at].turns;
    history.n_under_way--;
    memmove(&history.under_way[at], &history.under_way[at + 1],
            (history.n_under_way - at) * sizeof history.under_way[0]);
    fails = fails || ((struct fake_store_room *)(void *)batch->room)->failed;
    model->ended += turns;
    if (fails) {
        model->seen = model->stored;
        model->transaction = false;
        model->n_open = 0;
        model->epoch++;
        seen.failures++;
    } else {
        model->stored = content;
    }
    fake_store_end(store, batch, fails ? STORE_FAILED : STORE_OK);
    expect_stored(model);
}

static void begin_read(void)
{
    struct store_read **into = &history.held[dice(HELD)];
    if (!*into)
        *into = fake_store_look(&history.data->fake->store);
    seen.held += *into != NULL;
}

static void end_read(size_t i)
{
    struct store_read *read = history.held[i];
    history.held[i] = NULL;
    if (read)
        fake_store_give(read, once_in(20) ? STORE_FAILED : STORE_OK);
}

/* ---- peers ---- */

static struct peer_kind kind;

static void hear(struct fake_peer *peer, struct bytes *bytes)
{
    char text[24];
    assert_true(bytes->len < sizeof text);
    memcpy(text, bytes->data, bytes->len);
    text[bytes->len] = '\0';
    const struct sent *sent = &history.sent[strtoull(text, NULL, 10)];
    assert_true(sent->order > peer->last_heard);
    peer->last_heard = sent->order;
    assert_true(sent->model->ended >= sent->gate);
    assert_int_equal(sent->epoch, sent->model->epoch);
    assert_true(sent->decided || !peer->peer.room || !peer->peer.room->input_closed);
    seen.heard++;
}

/* Does the room take a message of it? If not, it hears when. */
static bool may_send(struct fake_peer *peer)
{
    if (!peer->peer.room || peer->closed || peer->blocked)
        return false;
    peer->blocked = !room_peer_ready(&peer->peer);
    return !peer->blocked;
}

/* Some ask on, while others still wait in the queue. */
static void hear_send(struct peer *base, struct bytes *bytes, bool binary)
{
    struct fake_peer *peer = fake_peer_of(base);
    char text[32];

    hear(peer, bytes);
    fake_send_to(base, bytes, binary);
    if (once_in(3) && may_send(peer)) {
        snprintf(text, sizeof text, "send %d", (int)++history.n_sent);
        fake_message(peer, text);
    }
}

/* ---- programs ---- */

static void add(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(char *text, const char *format, ...)
{
    size_t len = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + len, 200, format, args);
    va_end(args);
}

static const char *some_key(void)
{
    return key_words[dice(KEYS)];
}

static const char *some_end(void)
{
    return once_in(3) ? "-" : some_key();
}

static void add_put(char *text, bool large)
{
    history.n_values += 2;
    uint32_t value = (uint32_t)history.n_values + large;
    add(text, "put %s %u", some_key(), value);
    size_t len = strlen(text), more = value_len(value);
    memset(text + len, 'v', more);
    memcpy(text + len + more, ";", 2);
}

static void write_program(char *text, bool sends)
{
    bool transaction = false, large = history.large && sends;

    *text = '\0';
    for (uint64_t n = 1 + dice(6); n > 0; n--) {
        switch (dice(14)) {
        case 0:
        case 1:
        case 2: add_put(text + strlen(text), large && once_in(2)); break;
        case 3: add(text, "del %s;", some_key()); break;
        case 4: add(text, once_in(3) && !large ? "clear;" : "list - -;"); break;
        case 5: add(text, "get %s;", some_key()); break;
        case 6: add(text, "get %s %s %s;", some_key(), some_key(), some_key()); break;
        case 7:
        case 8:
            add(text, "list %s %s %d%s;", some_end(), some_end(), (int)dice(4), once_in(2) ? " r" : "");
            break;
        case 9:
            add(text, transaction ? (once_in(2) ? "undo;" : "keep;") : "begin;");
            transaction = !transaction;
            break;
        case 10:
        case 11:
            if (sends && history.n_sent + 1 < SENDS)
                add(text, "send %d;", (int)++history.n_sent);
            break;
        case 12:
            if (!transaction)
                add(text, once_in(2) ? "sync;" : once_in(2) ? "relieve;" : sends ? "sleep;" : "");
            break;
        case 13:
            if (once_in(6))
                add(text, once_in(2) ? "fail;" : sends ? "restart;" : "");
            break;
        default: break;
        }
    }
    if (transaction && once_in(2))
        add(text, "keep"); /* or nobody ends it */
}

/* ---- what happens ---- */

static struct room *some_room(void)
{
    return fake_room(history.data->fake, history.models[dice(ROOMS)].id);
}

static struct fake_peer *some_peer(void)
{
    struct fake_peer *found = NULL;
    uint64_t n = 0;
    list_each(it, &history.data->fake->peers) {
        if (once_in(++n))
            found = container_of(it, struct fake_peer, link);
    }
    return found;
}

static void send_program(void)
{
    static char text[6 * 250200];
    struct fake_peer *peer = some_peer();
    if (!peer || !peer->accepted || !may_send(peer))
        return;
    write_program(text, true);
    fake_message(peer, text);
}

static void wake_some(void)
{
    list_each(it, &history.data->fake->tasks) {
        struct fake_task *task = container_of(it, struct fake_task, link);
        if (task->woken)
            continue;
        task->woken = true;
        room_wake(task->vm->room, task);
        return;
    }
}

static void small_program(char *text)
{
    write_program(text, false);
    assert_true(strlen(text) < 256);
}

static void connect_peer(struct room *room)
{
    struct fake_peer *peer = fake_peer_new(history.data->fake, "a");
    peer->peer.kind = &kind;
    room_connect(room, &peer->peer, fake_http_request());
}

static void operate(void)
{
    struct data_world *data = history.data;
    struct fake *fake = data->fake;
    uint64_t what = dice(100);

    if (what < 8) {
        connect_peer(some_room());
    } else if (what < 45) {
        send_program();
    } else if (what < 48) {
        fake_request(fake, some_room(), &history.requests[history.n_requests++], "x");
    } else if (what < 52) {
        if (some_peer())
            fake_gone(some_peer());
    } else if (what < 57) {
        wake_some();
    } else if (what < 70) {
        end_batch(once_in(history.large ? 100 : 20));
    } else if (what < 77) {
        begin_read();
    } else if (what < 88) {
        end_read(dice(HELD));
    } else if (what < 91) {
        fake_queue(fake);
    } else if (what < 93) {
        fake->rooms.limits.idle_ms = 0;
        timer_start(&fake->loop, &fake->rooms.evict, 0);
    } else {
        loop_step(&fake->loop);
    }
    fake_forget(fake);
}

/* All that is waited for comes. */
static void calm_down(void)
{
    struct fake *fake = history.data->fake;
    bool stopping = once_in(2);

    if (stopping)
        rooms_stop(&fake->rooms, 10u * FAKE_DEADLINE_MS, fake_on_empty, fake);
    for (int turns = 0; turns < 400 && !fake->empty; turns++) {
        wake_some();
        end_batch(false);
        begin_read();
        for (size_t i = 0; i < HELD; i++)
            end_read(i);
        loop_step(&fake->loop);
        fake_forget(fake);
    }
    assert_int_equal(fake->empty, stopping);
    for (size_t i = 0; i < ROOMS; i++) {
        take_back(&history.models[i]);
        assert_memory_equal(&history.models[i].seen, &history.models[i].stored, sizeof(struct content));
        expect_stored(&history.models[i]);
    }
}

static void live(void)
{
    static const struct room_limits limits = {.events = 20,
                                              .handlers = 6,
                                              .idle_ms = 1000000,
                                              .output = 2400000};
    static struct store_ops ops;
    struct data_world *data = data_begin_with(&limits);

    memset(&history, 0, sizeof history);
    history.data = data;
    history.large = once_in(40);
    history.models[0].id = "r";
    history.models[1].id = "s";
    ops = fake_store_ops;
    ops.submit = submit;
    ops.waits = waits;
    data->fake->store.base.ops = &ops;
    data->fake->no_memory = true; /* peers may be closed again, as they are then */
    script = fake_ops;
    script.close = close_vm;
    script.run = run;
    data->fake->rooms.script = &script;
    data->did = did;
    data->turned = turned;
    data->on_start = history.start;
    data->on_stop = history.stop;
    data->on_request = history.request;
    for (size_t i = 0; i < 2 * ROOMS; i++)
        connect_peer(fake_room(data->fake, history.models[i % ROOMS].id));
    fake_run(data->fake);
    for (uint64_t n = dice(history.large ? OPERATIONS : OPERATIONS / 4); n > 0; n--) {
        if (once_in(4)) {
            small_program(history.start);
            small_program(history.stop);
            small_program(history.request);
        }
        operate();
        list_each(it, &data->fake->rooms.all) {
            const struct room_data *own = container_of(it, struct room, in_all)->data;
            seen.evicted += own && !list_empty(&own->known.clean) && own->known.size > 600000;
        }
    }
    fake_queue(data->fake);
    if (once_in(2))
        calm_down();
    for (size_t i = 0; i < HELD; i++)
        end_read(i);
    rooms_drop(&data->fake->rooms);
    while (data->fake->store.n_batches > 0)
        end_batch(once_in(4));
    data_end(data);
    for (size_t i = 0; i < history.n_requests; i++)
        assert_int_equal(history.requests[i].n_answers, 1);
}

static void no_history_loses_anything(void **state)
{
    (void)state;
    kind = fake_kind;
    kind.send = hear_send;
    for (seed = 1; seed <= RUNS; seed++) {
        random_state = seed * 0x9e3779b97f4a7c15u;
        live();
    }
    print_message(
        "%zu reads, %zu lists, %zu waits for the store, %zu reads held, %zu heard, %zu gated, %zu failures, "
        "%zu taken back, %zu clears, %zu restarts, %zu too large, %zu synced, %zu near the bound\n",
        seen.reads, seen.lists, seen.asked, seen.held, seen.heard, seen.gated, seen.failures, seen.rollbacks,
        seen.clears, seen.restarts, seen.full, seen.syncs, seen.evicted);
    assert_true(seen.reads && seen.lists && seen.asked && seen.held && seen.heard && seen.gated);
    assert_true(seen.failures && seen.rollbacks && seen.clears && seen.restarts && seen.full && seen.syncs &&
                seen.evicted && seen.joined);
}

static int say_seed(void **state)
{
    (void)state;
    if (seed <= RUNS)
        print_message("the history with seed %llu\n", (unsigned long long)seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(no_history_loses_anything, say_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
