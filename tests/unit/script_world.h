/* Rooms with their real scripts, and no sockets: a project in a temporary folder whose party main is the
 * test's, a loop, and transports that write down what they are told. What peers get goes to one text, in
 * order, which world_expect compares; what requests get is in their struct asked; what was logged is in
 * world_log. */
#pragma once

#include "project_files.h"

#include "base/clock.h"
#include "base/log.h"
#include "http/parser.h"
#include "room/private.h"
#include "script/script.h"
#include "script/vm.h"
#include "store/sqlite.h"

#include <sys/mman.h>

#define WORLD_DEADLINE_NS ((uint64_t)60000 * NS_PER_MS)

struct world {
    struct project_files files;
    struct config config;    /* the project's, until it is opened */
    struct project *project; /* a reference */
    struct party *party;     /* main */
    struct counters counters;
    struct loop loop;
    struct script script;
    struct script_ops ops; /* script_ops, with an open that follows fail_in */
    struct rooms rooms;
    struct store *store; /* that of all rooms that are begun; NULL: none */
    struct buf said;
    struct list peers;   /* of struct world_peer, those with a transport */
    struct list asked;   /* of struct asked */
    size_t n_peers;      /* not freed yet */
    size_t n_unanswered; /* of asked */
    uint64_t fail_in;    /* the next VM's allocation that fails, counted from when it was loaded; 0: none */
    uint64_t failing;    /* vm->fail_at of the VM that took it */
    uint64_t allocated;  /* vm->n_allocations of the VM that ended last */
    bool empty;          /* rooms_stop is done */
    int log;             /* memory file */
    char log_text[64 * 1024];
};

struct world_peer {
    struct peer peer;
    struct world *world;
    struct list link;   /* in world->peers */
    struct list member; /* in its group */
    bool transport;     /* not ended */
    bool joined, accepted, refused, closed;
    size_t pending; /* what kind->pending says */
};

struct asked {
    struct exchange exchange;
    struct world *world;
    struct list link;
    int n_answers, status;
    bool has_type;
    struct buf headers, body, reason; /* strings, once answered */
    struct http_sink sink;            /* of a body that comes in pieces: they follow the body's NUL */
    struct http_source *source;       /* owned, until its end */
};

/* ---- the text ---- */

static inline void world_say(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void world_say(struct world *world, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (world->said.len > 0)
        assert_int_equal(buf_append(&world->said, "; ", 2), 0);
    assert_int_equal(buf_vprintf(&world->said, format, args), 0);
    va_end(args);
}

/* Compares all that peers were told since the last time. */
static inline void world_expect_at(struct world *world, const char *want, const char *file, int line)
{
    assert_int_equal(buf_append(&world->said, "", 1), 0);
    _assert_string_equal((const char *)world->said.data, want, file, line);
    world->said.len = 0;
}
#define world_expect(world, want) world_expect_at(world, want, __FILE__, __LINE__)

/* ---- the log ---- */

static inline void world_log_begin(struct world *world)
{
    log_fini(); /* of a test that failed */
    assert_int_equal(ftruncate(world->log, 0), 0);
    assert_int_equal(lseek(world->log, 0, SEEK_SET), 0);
    assert_int_equal(log_init(world->log, LOG_DEBUG, LOG_JSON), 0);
}

/* All that was logged since the last time; valid until the next one. */
static inline const char *world_log(struct world *world)
{
    log_fini();
    ssize_t n = pread(world->log, world->log_text, sizeof world->log_text - 1, 0);
    assert_true(n >= 0);
    world->log_text[n] = '\0';
    world_log_begin(world);
    return world->log_text;
}

static inline void world_logged_at(struct world *world, const char *const wanted[], size_t n,
                                   const char *file, int line)
{
    const char *log = world_log(world);
    for (size_t i = 0; i < n; i++) {
        if (!strstr(log, wanted[i])) {
            print_error("%s:%d: %s is not in the log:\n%s\n", file, line, wanted[i], log);
            _fail(file, line);
        }
    }
    if (n == 0 && *log) {
        print_error("%s:%d: this was logged:\n%s\n", file, line, log);
        _fail(file, line);
    }
}
/* Since the last time lines with all of these texts were logged. */
#define world_logged(world, ...)                                                                             \
    world_logged_at(world, (const char *const[]){__VA_ARGS__},                                               \
                    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *), __FILE__, __LINE__)
/* Nothing was. */
#define world_quiet(world) world_logged_at(world, NULL, 0, __FILE__, __LINE__)

/* ---- peers ---- */

struct world_group {
    struct peer_group base;
    struct world *world;
    struct list members; /* of struct world_peer */
};

static inline struct world_peer *world_peer_of(const struct peer *peer)
{
    return container_of(peer, struct world_peer, peer);
}

static inline struct peer_group *world_group_open(struct room *room)
{
    struct world_group *group = calloc(1, sizeof *group);
    assert_non_null(group);
    group->world = container_of(room->rooms, struct world, rooms);
    list_init(&group->members);
    return &group->base;
}

static inline void world_group_close(struct peer_group *base)
{
    struct world_group *group = container_of(base, struct world_group, base);
    while (list_pop(&group->members))
        ;
    free(group);
}

/* A broadcast is told as what each peer gets. */
static inline void world_group_send(struct peer_group *base, struct bytes *data, bool binary,
                                    struct peer *const *without, size_t n_without)
{
    list_each(link, &container_of(base, struct world_group, base)->members) {
        struct world_peer *peer = container_of(link, struct world_peer, member);
        bool left_out = peer->closed;
        for (size_t i = 0; i < n_without; i++)
            left_out = left_out || without[i] == &peer->peer;
        if (!left_out)
            peer->peer.kind->send(&peer->peer, data, binary);
    }
}

static inline void world_join(struct peer *base, struct peer_group *group)
{
    struct world_peer *peer = world_peer_of(base);
    assert_false(peer->joined || peer->accepted || peer->refused);
    peer->joined = true;
    if (peer->transport)
        list_push(&container_of(group, struct world_group, base)->members, &peer->member);
}

static inline void world_accept(struct peer *base)
{
    struct world_peer *peer = world_peer_of(base);
    assert_true(peer->joined && !peer->accepted && !peer->refused);
    peer->accepted = true;
    world_say(peer->world, "%s in", base->id);
}

static inline void world_refuse(struct peer *base, struct http_response *response)
{
    struct world_peer *peer = world_peer_of(base);
    assert_false(peer->joined || peer->refused || peer->closed);
    assert_non_null(response);
    peer->refused = true;
    world_say(peer->world, "%s refused %d", base->id, response->status);
    http_response_free(response);
}

static inline void world_send(struct peer *base, struct bytes *data, bool binary)
{
    struct world_peer *peer = world_peer_of(base);
    assert_true(peer->joined && !peer->refused && !peer->closed);
    world_say(peer->world, "%s%s< %.*s", base->id, binary ? " binary" : "", (int)data->len,
              (const char *)data->data);
}

static inline void world_close(struct peer *base, uint16_t code, const char *reason, size_t len)
{
    struct world_peer *peer = world_peer_of(base);
    assert_false(peer->refused || peer->closed);
    peer->closed = true;
    world_say(peer->world, "%s closed %d%s%.*s", base->id, code, len ? " " : "", (int)len, len ? reason : "");
}

static inline size_t world_pending(const struct peer *base)
{
    return world_peer_of(base)->pending;
}

static inline void world_resume(struct peer *base)
{
    world_say(world_peer_of(base)->world, "%s resumed", base->id);
}

static inline void world_free(struct peer *base)
{
    struct world_peer *peer = world_peer_of(base);
    assert_false(peer->transport || base->listed || base->room || base->object);
    assert_int_equal(base->staged, 0);
    peer->world->n_peers--;
    free(peer);
}

static const struct peer_kind world_kind = {
    .name = "websocket",
    .group_open = world_group_open,
    .group_close = world_group_close,
    .group_send = world_group_send,
    .join = world_join,
    .accept = world_accept,
    .refuse = world_refuse,
    .send = world_send,
    .close = world_close,
    .pending = world_pending,
    .resume = world_resume,
    .free = world_free,
};

/* ---- requests ---- */

/* A request as the parser makes it. head is "METHOD TARGET" and maybe more lines behind it, each begun
 * with a line feed; the room's own path is what stands before the subpath. */
static inline struct http_request *world_http(const char *head, const void *body, size_t len)
{
    static const struct http_limits limits = {.url = 8192, .headers = 65536, .body = 1 << 28};
    struct http_parser parser;
    struct buf text = {0};
    size_t used, first = strcspn(head, "\n");

    assert_int_equal(http_parser_init(&parser, &limits), 0);
    assert_int_equal(buf_printf(&text, "%.*s HTTP/1.1\r\nHost: example.org\r\n", (int)first, head), 0);
    for (const char *line = head + first; *line; line += strcspn(line, "\n")) {
        line++;
        assert_int_equal(buf_printf(&text, "%.*s\r\n", (int)strcspn(line, "\n"), line), 0);
    }
    if (body)
        assert_int_equal(buf_printf(&text, "Content-Length: %zu\r\n", len), 0);
    assert_int_equal(buf_append(&text, "\r\n", 2), 0);
    assert_int_equal(http_parser_feed(&parser, text.data, text.len, &used), HTTP_HEAD_DONE);
    assert_int_equal(http_parser_feed(&parser, body, len, &used), HTTP_COMPLETE);
    struct http_request *request = http_parser_take(&parser);
    http_parser_fini(&parser);
    buf_fini(&text);

    snprintf(request->remote, sizeof request->remote, "192.0.2.7");
    static const char prefix[] = "/parties/main/"; /* then the room, and the subpath */
    assert_memory_equal(request->path.ptr, prefix, sizeof prefix - 1);
    const char *end = request->path.ptr + request->path.len, *at = request->path.ptr + sizeof prefix - 1;
    while (at < end && *at != '/')
        at++;
    request->subpath = at < end ? (struct span){at, (size_t)(end - at)} : SPAN("/");
    return request;
}

static inline void world_keep(struct buf *out, const struct bytes *bytes)
{
    assert_int_equal(buf_append(out, bytes ? (const char *)bytes->data : "", bytes ? bytes->len : 0), 0);
    assert_int_equal(buf_append(out, "", 1), 0);
}

/* The body's source has ended, or is given up. */
static inline void world_close_source(struct asked *asked)
{
    struct http_source *source = asked->source;
    asked->source = NULL;
    if (source)
        source->close(source);
}

static inline void world_on_piece(struct http_sink *sink, struct bytes *piece)
{
    struct asked *asked = container_of(sink, struct asked, sink);

    if (piece) {
        assert_int_equal(buf_append(&asked->body, piece->data, piece->len), 0);
        bytes_unref(piece);
        asked->source->pull(asked->source, sink);
    } else {
        world_close_source(asked);
    }
}

static inline void world_on_end(struct http_sink *sink)
{
    world_close_source(container_of(sink, struct asked, sink));
}

static inline void world_respond(struct exchange *base, struct http_response *response)
{
    struct asked *asked = container_of(base, struct asked, exchange);
    assert_non_null(response);
    assert_int_equal(asked->n_answers++, 0);
    asked->world->n_unanswered--;
    asked->status = response->status;
    asked->has_type = response->has_type;
    world_keep(&asked->headers, response->headers);
    world_keep(&asked->body, response->body);
    world_keep(&asked->reason, response->reason);
    if (response->source) {
        asked->sink = (struct http_sink){.piece = world_on_piece, .end = world_on_end};
        asked->source = response->source;
        response->source = NULL;
        asked->source->pull(asked->source, &asked->sink);
    }
    http_response_free(response);
}

/* The answer is the world's, and comes when it comes. */
static inline struct asked *world_ask_with(struct room *room, const char *head, const void *body, size_t len)
{
    struct world *world = container_of(room->rooms, struct world, rooms);
    struct asked *asked = calloc(1, sizeof *asked);
    assert_non_null(asked);
    asked->exchange.respond = world_respond;
    asked->world = world;
    list_push(&world->asked, &asked->link);
    world->n_unanswered++;
    room_request(room, world_http(head, body, len), &asked->exchange);
    return asked;
}

/* body: a string, or NULL. */
static inline struct asked *world_ask(struct room *room, const char *head, const char *body)
{
    return world_ask_with(room, head, body, body ? strlen(body) : 0);
}

static inline void world_forget_asked(struct world *world)
{
    struct list *link;
    while ((link = list_pop(&world->asked)) != NULL) {
        struct asked *asked = container_of(link, struct asked, link);
        assert_int_equal(asked->n_answers, 1);
        world_close_source(asked);
        buf_fini(&asked->headers);
        buf_fini(&asked->body);
        buf_fini(&asked->reason);
        free(asked);
    }
}

/* ---- what comes from peers ---- */

/* Data in memory of exactly its length, as a piece of a transport's read buffer; overwritten and freed
 * when the room has been told. */
static inline uint8_t *world_input(const void *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, data, len);
    return copy;
}

static inline void world_input_over(uint8_t *data, size_t len)
{
    memset(data, '#', len);
    free(data);
}

/* A peer whose handshake has come; query is what stands behind "?" in its URL, or NULL. It is the world's
 * until world_gone. */
static inline struct world_peer *world_connect_with(struct room *room, const char *id, const char *query)
{
    struct world *world = container_of(room->rooms, struct world, rooms);
    struct world_peer *peer = calloc(1, sizeof *peer);
    char head[512], uri[512];

    assert_non_null(peer);
    peer->peer.kind = &world_kind;
    peer->peer.refs = 1;
    snprintf(uri, sizeof uri, "http://example.org/parties/main/%s%s%s", room->id, query ? "?" : "",
             query ? query : "");
    assert_int_equal(peer_set_names(&peer->peer, id, uri, "192.0.2.9"), 0);
    peer->world = world;
    peer->transport = true;
    list_push(&world->peers, &peer->link);
    world->n_peers++;
    snprintf(head, sizeof head, "GET /parties/main/%s%s%s", room->id, query ? "?" : "", query ? query : "");
    room_connect(room, &peer->peer, world_http(head, NULL, 0));
    return peer;
}

static inline struct world_peer *world_connect(struct room *room, const char *id)
{
    return world_connect_with(room, id, NULL);
}

static inline void world_message_with(struct world_peer *peer, const void *data, size_t len, bool binary)
{
    uint8_t *input = world_input(data, len);
    room_message(&peer->peer, input, len, binary);
    world_input_over(input, len);
}

static inline void world_message(struct world_peer *peer, const char *text)
{
    world_message_with(peer, text, strlen(text), false);
}

static inline void world_error(struct world_peer *peer, const char *text)
{
    uint8_t *input = world_input(text, strlen(text) + 1);
    room_error(&peer->peer, (const char *)input);
    world_input_over(input, strlen(text) + 1);
}

/* Its transport has ended; one that was refused is only let go. */
static inline void world_gone_with(struct world_peer *peer, uint16_t code, const char *reason, bool clean)
{
    size_t len = strlen(reason);
    uint8_t *input = world_input(reason, len);
    peer->transport = false;
    list_remove(&peer->member);
    list_remove(&peer->link);
    if (!peer->refused)
        room_close(&peer->peer, code, (const char *)input, len, clean);
    world_input_over(input, len);
    peer_unref(&peer->peer);
}

static inline void world_gone(struct world_peer *peer)
{
    world_gone_with(peer, 1006, "", false);
}

/* ---- time ---- */

/* Turns until no room has anything to do at once. */
static inline void world_settle(struct world *world)
{
    do
        loop_step(&world->loop);
    while (rooms_busy(&world->rooms));
}

/* Turns until it is so. */
#define world_wait(world, condition)                                                                         \
    do {                                                                                                     \
        uint64_t deadline_ = clock_monotonic_ns() + WORLD_DEADLINE_NS;                                       \
        while (!(condition)) {                                                                               \
            assert_true(clock_monotonic_ns() < deadline_);                                                   \
            loop_step(&(world)->loop);                                                                       \
        }                                                                                                    \
    } while (0)

/* Asks and waits for the answer. */
static inline struct asked *world_answer(struct room *room, const char *head, const char *body)
{
    struct asked *asked = world_ask(room, head, body);
    world_wait(asked->world, asked->n_answers > 0);
    return asked;
}

static inline void world_answered_at(const struct asked *asked, int status, const char *body,
                                     const char *file, int line)
{
    if (asked->n_answers != 1 || asked->status != status || strcmp((char *)asked->body.data, body) != 0) {
        print_error("%s:%d: answered %d times with %d %s\n%s\n", file, line, asked->n_answers, asked->status,
                    asked->body.data ? (char *)asked->body.data : "", world_log(asked->world));
        _fail(file, line);
    }
}
/* It was answered with this. */
#define world_answered(asked, status, body) world_answered_at(asked, status, body, __FILE__, __LINE__)

/* ---- rooms ---- */

static inline struct vm *world_vm(const struct room *room)
{
    assert_non_null(room->instance);
    return room->instance;
}

static inline void *world_open_vm(void *user, struct room *room)
{
    struct world *world = container_of(room->rooms, struct world, rooms);
    struct vm *vm = script_ops.open(user, room);
    if (vm && world->fail_in > 0) {
        vm->fail_at = world->failing = vm->n_allocations + world->fail_in;
        world->fail_in = 0;
    }
    return vm;
}

static inline void world_close_vm(void *instance)
{
    struct vm *vm = instance;
    struct world *world = container_of(vm->room->rooms, struct world, rooms);
    world->allocated = vm->n_allocations;
    script_ops.close(instance);
}

/* The room of this name, made if it isn't there. */
static inline struct room *world_room(struct world *world, const char *id)
{
    struct room *room = rooms_get(&world->rooms, world->party, span_of(world->party->name), span_of(id));
    assert_non_null(room);
    return room;
}

static inline void world_begin_rooms(struct world *world)
{
    struct room_limits limits = {.events = world->project->config.limits.events,
                                 .handlers = world->project->config.limits.handlers,
                                 .idle_ms = world->project->config.limits.idle_room,
                                 .output = world->project->config.limits.room_memory,
                                 .inbox = world->project->config.limits.room_memory,
                                 .queue = world->project->config.limits.queue,
                                 .call_ms = world->project->config.limits.call_timeout};
    world->empty = false;
    rooms_init(&world->rooms, &world->loop, &world->ops, &world->script, &limits, &world->counters);
    world->rooms.store = world->store;
}

/* Rooms store in a folder of the world's. */
static inline void world_open_store(struct world *world)
{
    char folder[PATH_MAX];
    struct buf error = {0};

    assert_true(snprintf(folder, sizeof folder, "%s/data", world->files.root) < (int)sizeof folder);
    if (store_open_sqlite(folder, 1, false, &error, &world->store) != 0)
        fail_msg("%.*s", (int)error.len, (char *)error.data);
    world->rooms.store = world->store;
}

/* Drops what is left of the rooms, ends the transports, and checks that nothing remains. */
static inline void world_end_rooms(struct world *world)
{
    rooms_drop(&world->rooms);
    for (int i = 0; i < 4; i++) /* what the rooms have sent each other comes to its end */
        loop_step(&world->loop);
    world_wait(world, world->loop.n_jobs == 0); /* the store is done with them */
    while (!list_empty(&world->peers))
        world_gone(container_of(world->peers.next, struct world_peer, link));
    world_forget_asked(world);
    assert_int_equal(world->n_peers, 0);
    assert_int_equal(world->n_unanswered, 0);
    assert_int_equal(world->rooms.peers_by_id.count, 0);
    assert_int_equal(world->script.n_warm, 0);
    rooms_fini(&world->rooms);
    assert_int_equal(world->loop.n_timers, 0);
}

static inline void world_on_empty(void *user)
{
    ((struct world *)user)->empty = true;
}

/* Lets all rooms end, with their onStop. */
static inline void world_stop(struct world *world)
{
    rooms_stop(&world->rooms, 10000, world_on_empty, world);
    world_wait(world, world->empty);
}

/* ---- life ---- */

/* Takes over a file of the tests in Lua. */
static inline void world_copy(struct world *world, const char *from, const char *to)
{
    char path[PATH_MAX];
    struct stat info;
    const char *folder = getenv("FESTA_TEST_LUA_DIR");

    assert_non_null(folder);
    assert_true(snprintf(path, sizeof path, "%s/%s", folder, from) < (int)sizeof path);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &info) != 0)
        fail_msg("%s can't be read", path);
    void *content = malloc((size_t)info.st_size);
    assert_non_null(content);
    assert_int_equal(read(fd, content, (size_t)info.st_size), info.st_size);
    close(fd);
    project_files_write_bytes(&world->files, to, content, (size_t)info.st_size);
    free(content);
}

static inline struct world *world_begin(void)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    project_files_init(&world->files);
    config_init(&world->config);
    world->config.limits.handler_time = 60000; /* for Lua that checks itself, and sanitizers */
    list_init(&world->peers);
    list_init(&world->asked);
    world->log = memfd_create("log", MFD_CLOEXEC);
    assert_true(world->log >= 0);
    world_log_begin(world);
    world_copy(world, "prelude.lua", "lib/prelude.lua");
    return world;
}

/* Opens the project, once its files are there. */
static inline struct world *world_open(struct world *world)
{
    struct buf error = {0};

    world->project = project_open(world->files.root, &world->config, NULL, &error);
    if (!world->project)
        fail_msg("%.*s", (int)error.len, (char *)error.data);
    buf_fini(&error);
    world->party = project_party(world->project, SPAN("main"));
    assert_non_null(world->party);
    assert_int_equal(loop_init(&world->loop), 0);
    assert_int_equal(script_init(&world->script, world->project, &world->loop, &world->counters), 0);
    world->ops = script_ops;
    world->ops.open = world_open_vm;
    world->ops.close = world_close_vm;
    world_begin_rooms(world);
    return world;
}

/* With a party main of this source. */
static inline struct world *world_of(const char *source)
{
    struct world *world = world_begin();
    project_files_write(&world->files, "parties/main.lua", source);
    return world_open(world);
}

/* With the party main of a file in parties of the tests in Lua. */
static inline struct world *world_of_file(const char *name)
{
    char path[64];
    struct world *world = world_begin();
    snprintf(path, sizeof path, "parties/%s", name);
    world_copy(world, path, "parties/main.lua");
    return world_open(world);
}

static inline void world_end(struct world *world)
{
    world_end_rooms(world);
    if (world->store) /* else it is the test's own */
        store_close(world->store);
    script_fini(&world->script);
    loop_fini(&world->loop);
    project_unref(world->project);
    config_fini(&world->config);
    project_files_fini(&world->files);
    buf_fini(&world->said);
    log_fini();
    close(world->log);
    free(world);
}

/* Runs the tests that a party has: "/" names them, each is a request to a room of its own, with the peers
 * anna, ben and carl, of whom ben has the tag b. */
static inline void world_run_tests(struct world *world)
{
    char head[128];
    size_t n = 0;
    struct asked *asked = world_answer(world_room(world, "names"), "GET /parties/main/names", NULL);
    assert_int_equal(asked->status, 200);
    char *names = strdup((char *)asked->body.data);
    for (char *rest = names, *name; (name = strsep(&rest, "\n")); n++) {
        struct room *room = world_room(world, name);
        world_connect_with(room, "anna", "tag=a");
        world_connect_with(room, "ben", "tag=b");
        world_connect_with(room, "carl", "tag=c");
        snprintf(head, sizeof head, "POST /parties/main/%s/%s", name, name);
        asked = world_answer(room, head, NULL);
        if (asked->status != 200)
            fail_msg("%s: %d %s\n%s", name, asked->status, (char *)asked->body.data, world_log(world));
    }
    free(names);
    print_message("%zu tests in Lua\n", n);
    assert_true(n > 1);
}
