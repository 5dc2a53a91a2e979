#include "room/crons.h"

#include "base/check.h"
#include "base/log.h"
#include "room/hook.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE_MS 60000

/* A clock that goes back by no more than this is only waited for. */
#define SET_BACK_MS (60 * MINUTE_MS)

struct cron_run {
    struct hook_call call;
    struct hook_cron cron;
    struct list link;      /* in crons->runs */
    char *name, *schedule; /* owned; of cron */
};

static int64_t now_of(const struct crons *crons)
{
    return crons->clock(crons->rooms->loop);
}

/* ---- one run ---- */

static void on_done(struct exchange *exchange, struct http_response *response)
{
    struct cron_run *run =
        container_of(container_of(exchange, struct hook_call, exchange), struct cron_run, call);

    if (run->call.verdict != HOOK_PASS && response && response->status == 503)
        log_event(LOG_WARN, "a cron did not run: there is no place for it in the party main",
                  log_str("cron", run->name));
    http_response_free(response);
    hook_call_fini(&run->call);
    list_remove(&run->link);
    free(run->name);
    free(run->schedule);
    free(run);
}

static bool is_running(const struct crons *crons, const char *name)
{
    list_each(link, &crons->runs) {
        if (strcmp(container_of(link, struct cron_run, link)->name, name) == 0)
            return true;
    }
    return false;
}

static void start(struct crons *crons, const struct cron_entry *entry, int64_t time)
{
    struct rooms *rooms = crons->rooms;
    struct party *main = rooms->script->party_find(rooms->script_user, SPAN("main"));

    if (!main || !rooms->script->has_hook(main, HOOK_CRON))
        return;
    if (is_running(crons, entry->name)) {
        log_event(LOG_WARN, "a cron is skipped: its run before is not over", log_str("cron", entry->name));
        return;
    }
    struct cron_run *run = xcalloc(sizeof *run);
    run->name = xstrdup(entry->name);
    run->schedule = xstrdup(entry->schedule);
    run->cron = (struct hook_cron){.name = run->name, .schedule = run->schedule, .time = time};
    run->call = (struct hook_call){.exchange = {.respond = on_done}, .kind = HOOK_CRON, .cron = &run->cron};
    list_push(&crons->runs, &run->link);
    log_event(LOG_DEBUG, "a cron runs", log_str("cron", entry->name));
    room_hook(rooms, main, &run->call, NULL);
}

bool crons_run(struct crons *crons, struct span name)
{
    for (size_t i = 0; i < crons->n; i++) {
        if (span_equal(span_of(crons->entries[i].name), name)) {
            start(crons, &crons->entries[i], now_of(crons));
            return true;
        }
    }
    return false;
}

/* ---- time ---- */

/* Sleeps until the next is due, or the clock is to be looked at. */
static void sleep_until_due(struct crons *crons, int64_t now)
{
    int64_t ms = crons->look;

    for (size_t i = 0; i < crons->n; i++) {
        if (crons->entries[i].due - now < ms)
            ms = crons->entries[i].due - now;
    }
    timer_stop(&crons->timer);
    if (crons->n > 0)
        timer_start(crons->rooms->loop, &crons->timer, ms > 0 ? (uint64_t)ms : 1);
}

static void on_timer(struct timer *timer)
{
    struct crons *crons = container_of(timer, struct crons, timer);
    int64_t now = now_of(crons);
    bool set_back = now < crons->seen - SET_BACK_MS;

    if (set_back || now > crons->seen)
        crons->seen = now;
    for (size_t i = 0; i < crons->n; i++) {
        struct cron_entry *entry = &crons->entries[i];
        if (set_back) {
            entry->due = cron_next(&entry->times, now);
        } else if (now >= entry->due) {
            if (now - entry->due < MINUTE_MS)
                start(crons, entry, entry->due);
            else
                log_event(LOG_WARN, "a cron was missed: its time has passed", log_str("cron", entry->name));
            entry->due = cron_next(&entry->times, now);
        }
    }
    sleep_until_due(crons, now);
}

/* ---- life ---- */

static void drop_entries(struct crons *crons)
{
    for (size_t i = 0; i < crons->n; i++) {
        free(crons->entries[i].name);
        free(crons->entries[i].schedule);
    }
    free(crons->entries);
    crons->entries = NULL;
    crons->n = 0;
}

void crons_init(struct crons *crons, struct rooms *rooms, int64_t (*clock)(const struct loop *loop))
{
    *crons = (struct crons){.rooms = rooms,
                            .clock = clock,
                            .look = MINUTE_MS,
                            .timer = {.fn = on_timer, .loop = rooms->loop}};
    list_init(&crons->runs);
}

/* One that stays as it is stays due as it was. Others begin with the next minute, so none runs twice in one. */
static int64_t next_due(const struct crons *crons, const struct config_cron *cron, int64_t now)
{
    for (size_t i = 0; i < crons->n; i++) {
        const struct cron_entry *entry = &crons->entries[i];
        if (strcmp(entry->name, cron->name) == 0 && strcmp(entry->schedule, cron->schedule) == 0)
            return entry->due;
    }
    return cron_next(&cron->times, now);
}

void crons_adopt(struct crons *crons, const struct config *config)
{
    int64_t now = now_of(crons);
    struct cron_entry *entries = config->n_crons ? xcalloc(config->n_crons * sizeof *entries) : NULL;

    for (size_t i = 0; i < config->n_crons; i++) {
        const struct config_cron *cron = &config->crons[i];
        entries[i] = (struct cron_entry){.name = xstrdup(cron->name),
                                         .schedule = xstrdup(cron->schedule),
                                         .times = cron->times,
                                         .due = next_due(crons, cron, now)};
    }
    drop_entries(crons);
    crons->entries = entries;
    crons->n = config->n_crons;
    if (now > crons->seen)
        crons->seen = now;
    sleep_until_due(crons, now);
}

void crons_stop(struct crons *crons)
{
    drop_entries(crons);
    if (crons->rooms)
        timer_stop(&crons->timer);
}

void crons_fini(struct crons *crons)
{
    crons_stop(crons);
    CHECK(!crons->rooms || list_empty(&crons->runs));
}
