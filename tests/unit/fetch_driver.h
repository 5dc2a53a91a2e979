/* For the tests of fetch: a loop with a fetcher, and a server (fetch_server.h). */
#pragma once

#include "fetch/fetch.h"
#include "fetch_server.h"

#define TEST_SECONDS 60

/* Turns the loop until the condition holds. */
#define WAIT(world, condition)                                                                               \
    do {                                                                                                     \
        uint64_t until_ = clock_monotonic_ns() + TEST_SECONDS * (uint64_t)1000 * NS_PER_MS;                  \
        while (!(condition)) {                                                                               \
            assert_true(clock_monotonic_ns() < until_);                                                      \
            loop_step(&(world)->loop);                                                                       \
        }                                                                                                    \
    } while (0)

struct world {
    struct loop loop;
    struct fetcher *fetcher;
    struct server server;
};

static inline struct world *world_begin(void)
{
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    assert_int_equal(loop_init(&world->loop), 0);
    world->fetcher = fetcher_new(&world->loop);
    server_begin(&world->server);
    return world;
}

/* Ends it, and checks that nothing remains. */
static inline void world_end(struct world *world)
{
    fetcher_free(world->fetcher);
    loop_fini(&world->loop);
    server_end(&world->server);
    free(world);
}

/* ---- fetches ---- */

struct get {
    struct fetch fetch;
    struct fetch_options options;
    char url[512];
    unsigned changes;
    void (*on_change)(struct get *get);
};

static inline void on_changed(struct fetch *fetch)
{
    struct get *get = container_of(fetch, struct get, fetch);
    get->changes++;
    if (get->on_change)
        get->on_change(get);
}

/* The options of a GET of a path of the server, or of a whole URL. */
static inline struct get *get_of(const struct world *world, const char *path)
{
    struct get *get = calloc(1, sizeof *get);

    assert_non_null(get);
    if (path[0] == '/')
        snprintf(get->url, sizeof get->url, "http://127.0.0.1:%d%s", world->server.port, path);
    else
        snprintf(get->url, sizeof get->url, path, world->server.port);
    get->fetch.changed = on_changed;
    get->options = (struct fetch_options){.url = get->url,
                                          .method = "GET",
                                          .timeout_ms = TEST_SECONDS * 1000,
                                          .most = 1024 * 1024};
    return get;
}

/* Everything may come. */
static inline void allow_all(struct get *get)
{
    fetch_allow(&get->fetch, get->options.most + 65536);
}

static inline void get_start(struct world *world, struct get *get)
{
    fetch_start(world->fetcher, &get->fetch, &get->options);
}

static inline bool is_over(const struct get *get)
{
    return get->fetch.state == FETCH_COMPLETE || get->fetch.state == FETCH_FAILED;
}

static inline void get_wait(struct world *world, struct get *get)
{
    get_start(world, get);
    allow_all(get);
    WAIT(world, is_over(get));
}

static inline void get_end(struct get *get)
{
    fetch_close(&get->fetch);
    free(get);
}

/* What a GET of the path comes to: "200 body", or "code: message". */
static inline void expect_at(struct world *world, struct get *get, const char *wanted, const char *file,
                             int line)
{
    char found[4096];

    get_wait(world, get);
    if (get->fetch.state == FETCH_COMPLETE)
        snprintf(found, sizeof found, "%d %.*s", get->fetch.status, (int)get->fetch.body.len,
                 get->fetch.body.data ? (const char *)get->fetch.body.data : "");
    else
        snprintf(found, sizeof found, "%s: %s", fetch_error_code(get->fetch.error), get->fetch.message);
    if (strncmp(found, wanted, strlen(wanted)) != 0) {
        print_error("%s:%d: %s: found %s, not %s\n", file, line, get->url, found, wanted);
        _fail(file, line);
    }
    get_end(get);
}
#define expect(world, get, wanted) expect_at(world, get, wanted, __FILE__, __LINE__)
