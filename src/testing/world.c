#include "testing/world.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "store/memory.h"
#include "testing/client.h"
#include "testing/outside.h"
#include "testing/request.h"

#include <time.h>

/* Timers for 0 ms are due a few ns from now, so that those which start each other take turns with sockets. When the
 * clock stands still it has to go along. */
#define NOW_NS (NS_PER_MS / 2)

static bool on_failure(void *user, const struct room *room, const char *handler, struct span message,
                       bool answered)
{
    struct world *world = user;

    if (answered)
        return false;
    CHECK(buf_printf(&world->errors, "%s%s%s of the party %s: %.*s", handler, room->lobby ? "" : ", room ",
                     room->lobby ? "" : room->id, room->rooms->script->party_name(room->party).ptr,
                     (int)message.len, message.ptr) == 0 &&
          buf_append(&world->errors, "", 1) == 0);
    world->n_errors++;
    return false;
}

static void begin_rooms(struct world *world)
{
    const struct limits *limits = &world->project->config.limits;
    const struct room_limits bounds = {.events = limits->events,
                                       .handlers = limits->handlers,
                                       .connections = limits->connections_per_room,
                                       .idle_ms = limits->idle_room,
                                       .output = limits->room_memory,
                                       .inbox = limits->room_memory};

    CHECK(script_init(&world->script, world->project, world->loop, &world->counters) == 0);
    outside_take(world);
    world->script.on_failure = on_failure;
    world->script.on_failure_user = world;
    rooms_init(&world->rooms, world->loop, &script_ops, &world->script, &bounds, &world->counters);
    world->rooms.store = world->store;
    alarms_begin(&world->rooms.alarms);
    crons_init(&world->crons, &world->rooms, loop_wall_ms);
    world->crons.look = INT64_MAX;
    crons_adopt(&world->crons, &world->project->config);
}

void world_begin(struct world *world, struct loop *loop, struct loop_clock *clock, struct project *project)
{
    *world = (struct world){.loop = loop,
                            .clock = clock,
                            .project = project_ref(project),
                            .store = store_open_memory()};
    list_init(&world->clients);
    list_init(&world->requests);
    list_init(&world->outside);
    begin_rooms(world);
}

/* What is under way for the rooms comes to its end. */
static void finish_jobs(struct world *world)
{
    do
        loop_step(world->loop);
    while (world->loop->n_jobs > 0);
}

static void end_rooms(struct world *world)
{
    crons_stop(&world->crons);
    rooms_drop(&world->rooms);
    finish_jobs(world);
    crons_fini(&world->crons);
    rooms_fini(&world->rooms);
    script_fini(&world->script);
}

void world_end(struct world *world)
{
    clients_end(world, 1006);
    requests_end(world);
    end_rooms(world);
    clients_free(world);
    requests_free(world);
    store_close(world->store);
    project_unref(world->project);
    buf_fini(&world->errors);
}

struct party *world_party(struct world *world, struct span name)
{
    return script_find_party(&world->script, name);
}

static uint64_t cpu_ns(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool world_room_id_valid(struct span id)
{
    if (id.len == 0 || id.len > 256 || !utf8_valid(id.ptr, id.len))
        return false;
    for (size_t i = 0; i < id.len; i++) {
        unsigned char c = (unsigned char)id.ptr[i];
        if (c < 0x20 || c == 0x7f || c == '/')
            return false;
    }
    return true;
}

static bool is_busy(const struct rooms *rooms)
{
    return rooms && (rooms_busy(rooms) || rooms->evicting || !list_empty(&rooms->chores));
}

bool world_rest(struct world *world, const struct rooms *also)
{
    struct loop *loop = world->loop;
    uint64_t until = cpu_ns() + (uint64_t)WORLD_REST_MS * NS_PER_MS;

    for (;;) {
        uint64_t next = timer_next(loop);
        if (next > world->clock->ns && next - world->clock->ns < NOW_NS)
            world->clock->ns = next;
        loop_step(loop);
        if (loop_at_rest(loop) && !is_busy(&world->rooms) && !is_busy(also) &&
            timer_next(loop) - world->clock->ns >= NOW_NS)
            return true;
        if (cpu_ns() > until)
            return false;
    }
}

bool world_advance(struct world *world, const struct rooms *also, uint64_t ms)
{
    uint64_t until = world->clock->ns + ms * NS_PER_MS, next;
    uint64_t deadline = cpu_ns() + (uint64_t)WORLD_REST_MS * NS_PER_MS;

    bool rests = world_rest(world, also);
    while (rests && (next = timer_next(world->loop)) <= until) {
        world->clock->ns = next;
        rests = world_rest(world, also) && cpu_ns() < deadline;
    }
    if (world->clock->ns < until)
        world->clock->ns = until;
    return rests && world_rest(world, also);
}

static void on_empty(void *user)
{
    ((struct world *)user)->stopped = true;
}

bool world_restart(struct world *world, const struct rooms *also, bool crash)
{
    bool rests = true;

    if (!crash) {
        world->stopped = false;
        crons_stop(&world->crons);
        rooms_stop(&world->rooms, world->project->config.limits.stop_timeout, on_empty, world);
        rests = world_rest(world, also);
        /* Handlers that wait have their time to end, as they would. */
        for (uint64_t waited = 0; rests && !world->stopped && waited < 2; waited++)
            rests = world_advance(world, also, world->project->config.limits.stop_timeout + 1000);
    }
    clients_end(world, crash ? 1006 : 1001);
    requests_end(world);
    end_rooms(world);
    begin_rooms(world);
    return rests && world_rest(world, also);
}
