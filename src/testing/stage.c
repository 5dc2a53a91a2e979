#include "testing/stage.h"

#include "base/check.h"
#include "base/clock.h"
#include "script/embedded.h"
#include "script/module.h"
#include "script/report.h"
#include "testing/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HARNESS "festa/harness.lua" /* as tracebacks name it */

#define TEST_TIME_MS 2000u                        /* of Lua, for one test */
#define TEST_MEMORY ((uint64_t)256 * 1024 * 1024) /* bytes */
#define CLOCK_START ((uint64_t)1000 * NS_PER_MS)

/* ---- the VM ---- */

struct stage *stage_of(lua_State *L)
{
    return container_of(vm_of(L)->script, struct stage, script);
}

static int install(lua_State *L)
{
    lua_pushglobaltable(L);
    lua_pushliteral(L, "__host");
    stage_push_functions(L);
    lua_rawset(L, -3);
    return 0;
}

static void *open_vm(void *user, struct room *room)
{
    struct script *script = user;
    struct buf error = {0};
    int line;

    struct vm *vm = vm_new(script, room->party, room);
    if (!vm || call_protected(vm, install, NULL) != 0 || vm_load(vm, &error, &line) != 0) {
        room_fail_start(room, report_start(script, room, &error));
        vm_free(vm);
        vm = NULL;
    }
    buf_fini(&error);
    return vm;
}

/* What a test raises is its result. */
static bool on_failure(void *user, const struct room *room, const char *handler, struct span message,
                       bool answered)
{
    (void)user;
    (void)room;
    (void)handler;
    (void)message;
    return answered;
}

static const struct embedded_file *find_harness(void)
{
    const struct embedded_file *file = embedded_files;
    while (file->name && strcmp(file->name, "harness/harness.lua") != 0)
        file++;
    CHECK(file->name != NULL);
    return file;
}

/* ---- life ---- */

static void begin_rooms(struct stage *stage)
{
    static const struct room_limits limits = {.events = 1024,
                                              .handlers = 1024,
                                              .idle_ms = UINT64_MAX / NS_PER_MS / 4,
                                              .output = TEST_MEMORY,
                                              .inbox = TEST_MEMORY};
    rooms_init(&stage->rooms, &stage->loop, &stage->ops, &stage->script, &limits, &stage->counters);
}

/* A project that has the folder, the variables and the modules of the one under test, but no parties. */
static struct project *make_own(const struct project *project)
{
    struct config config;

    config_init(&config);
    config.dev = true; /* errors come back whole */
    config.limits.handler_time = TEST_TIME_MS;
    config.limits.room_memory = TEST_MEMORY;
    struct project *own = project_empty(&config, NULL);
    own->root = xstrdup(project->root);
    for (size_t i = 0; i < project->env.count; i++)
        string_list_add(&own->env, project->env.items[i]);
    return own;
}

struct stage *stage_open(struct project *project, const char *file, struct buf *error)
{
    const struct embedded_file *harness = find_harness();

    char *path = project_file(project->root, file);
    if (!path) {
        code_complain(error, "", file, 0, "%s",
                      errno == EXDEV ? "leads out of the project" : strerror(errno));
        return NULL;
    }
    struct stage *stage = xcalloc(sizeof *stage);
    stage->tests = code_compile(path, file, error);
    free(path);
    if (!stage->tests) {
        free(stage);
        return NULL;
    }
    CHECK(loop_init(&stage->loop) == 0);
    stage->clock = (struct loop_clock){.ns = CLOCK_START, .wall_start = WORLD_WALL_START};
    stage->loop.clock = &stage->clock;
    stage->project = project_ref(project);
    stage->own = make_own(project);
    stage->party = (struct party){.name = xstrdup(file), .project = stage->own};
    stage->party.code = code_compile_text((struct span){harness->data, harness->size}, HARNESS, error);
    CHECK(stage->party.code != NULL);
    CHECK(script_init(&stage->script, stage->own, &stage->loop, &stage->counters) == 0);
    stage->script.on_failure = on_failure;
    stage->ops = script_ops;
    stage->ops.open = open_vm;
    list_init(&stage->commands);
    begin_rooms(stage);
    return stage;
}

/* Drops what the test's side has; it begins anew with the next request, with the file's own code. */
static void drop_rooms(struct stage *stage)
{
    rooms_drop(&stage->rooms);
    loop_step(&stage->loop);
    rooms_fini(&stage->rooms);
}

void stage_close(struct stage *stage)
{
    if (!stage)
        return;
    drop_rooms(stage);
    script_fini(&stage->script);
    code_unref(stage->party.code);
    code_unref(stage->tests);
    free(stage->party.name);
    project_unref(stage->own);
    project_unref(stage->project);
    buf_fini(&stage->text);
    loop_fini(&stage->loop);
    free(stage);
}

/* ---- running ---- */

static struct http_problem *problem_of(const char *message)
{
    struct http_problem *problem = xcalloc(sizeof *problem);
    problem->message = xstrdup(message);
    return problem;
}

static struct http_response *stuck(const char *message)
{
    struct http_response *response = http_response_text(500, message);
    CHECK(response != NULL);
    response->problem = problem_of(message);
    return response;
}

static struct command *next_command(struct stage *stage)
{
    struct list *link = list_pop(&stage->commands);
    return link ? container_of(link, struct command, link) : NULL;
}

/* Carries out one command, and those that follow from it: what answers a fetch may ask for something too. Then its test
 * goes on. false: the rooms don't come to rest. */
static bool carry_out(struct stage *stage, struct command *command)
{
    struct command *inner;

    if (!command->run(stage, command) || !world_rest(&stage->world, &stage->rooms))
        return false;
    while ((inner = next_command(stage)) != NULL) {
        if (!carry_out(stage, inner))
            return false;
    }
    command->task->forget = NULL;
    room_wake(command->task->vm->room, command->task);
    return world_rest(&stage->world, &stage->rooms);
}

/* Until the test is over. NULL, or why it can't be. */
static const char *run_commands(struct stage *stage, const struct asked *asked)
{
    static const char restless[] =
        "the rooms do not come to rest: handlers go on calling each other, or timers, without an end";

    if (!world_rest(&stage->world, &stage->rooms))
        return restless;
    while (!asked->answered) {
        struct command *command = next_command(stage);
        if (!command)
            return "the test waits for something that never comes";
        if (!carry_out(stage, command))
            return restless;
    }
    return NULL;
}

static struct room *test_room(void *user)
{
    struct stage *stage = user;
    struct room *room = rooms_get(&stage->rooms, &stage->party, span_of(stage->party.name), SPAN("tests"));
    CHECK(room != NULL);
    return room;
}

/* Asks the test's side, in a world of its own. */
static struct http_response *ask(struct stage *stage, size_t number)
{
    char target[32];
    struct buf unsaid = {0};

    snprintf(target, sizeof target, "/%zu", number);
    stage->clock =
        (struct loop_clock){.ns = stage->clock.ns, /* never back; the date is the same for each test */
                            .wall_start = WORLD_WALL_START - (int64_t)(stage->clock.ns / NS_PER_MS)};
    world_begin(&stage->world, &stage->loop, &stage->clock, stage->project);
    struct http_request *request = request_make(SPAN("POST"), SPAN("tests"), SPAN("tests"), span_of(target),
                                                (struct span){0}, (struct span){0}, false, &unsaid);
    CHECK(request != NULL);
    stage->world.test_room = test_room;
    stage->world.test_user = stage;
    struct room *room = test_room(stage);
    struct asked *asked = request_ask(&stage->world, room, request);
    const char *wrong = run_commands(stage, asked);
    if (wrong || room->n_waiting > 0) { /* what the test has left behind goes with it */
        drop_rooms(stage);
        begin_rooms(stage);
        list_init(&stage->commands);
    }
    CHECK(asked->answered);
    struct http_response *response = asked->response;
    asked->response = NULL;
    if (wrong) {
        http_response_free(response);
        response = stuck(wrong);
    }
    return response;
}

/* Takes the problem out of an answer; NULL: there is none. */
static struct http_problem *take_problem(struct http_response *response)
{
    if (!response)
        return problem_of("not enough memory");
    struct http_problem *problem = response->problem;
    response->problem = NULL;
    if (!problem && response->status != 200) {
        char text[256];
        snprintf(text, sizeof text, "%d %.*s", response->status,
                 response->body ? (int)response->body->len : 0,
                 response->body ? (const char *)response->body->data : "");
        problem = problem_of(text);
    }
    return problem;
}

bool stage_list(struct stage *stage, struct buf *names, struct http_problem **problem)
{
    struct http_response *response = ask(stage, 0);

    world_end(&stage->world);
    *problem = take_problem(response);
    bool listed = !*problem;
    if (listed && response->body)
        CHECK(buf_append(names, response->body->data, response->body->len) == 0);
    http_response_free(response);
    return listed;
}

enum stage_result stage_run(struct stage *stage, size_t number, struct http_problem **problem,
                            struct buf *errors)
{
    struct http_response *response = ask(stage, number);

    *problem = take_problem(response);
    http_response_free(response);
    const char *text = (const char *)stage->world.errors.data;
    for (uint32_t i = 0; i < stage->world.n_errors; i++, text += strlen(text) + 1)
        CHECK(buf_printf(errors, "%s\n", text) == 0);
    world_end(&stage->world);
    if (*problem)
        return STAGE_FAILED;
    return errors->len > 0 ? STAGE_ERRORS : STAGE_PASSED;
}
