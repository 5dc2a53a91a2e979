/* The defaults of the configuration, the table of its limits, and what follows from both.
 * Knows neither flags nor festa.lua: app and script write the fields. */
#include "base/config.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Descriptors kept back from `connections`: listeners, logs, storage, outbound requests. */
#define DESCRIPTORS_KEPT 64u

/* A queue has room for this many messages of the largest size. */
#define QUEUE_MESSAGES 4u

const struct limit_info limit_infos[] = {
#define X(name, field, fallback, least, most, help)                                                          \
    {name, offsetof(struct limits, field), fallback, least, most, help},
    LIMITS(X)
#undef X
        {0},
};

void config_init(struct config *config)
{
    *config = (struct config){
        .host = xstrdup("127.0.0.1"),
        .port = 1999,
        .storage_files = 1,
        .public_folder = xstrdup("public"),
        .io_uring = true,
        .fetch_private = true,
        .limits =
            {
#define X(name, field, fallback, least, most, help) .field = fallback,
                LIMITS(X)
#undef X
            },
    };
}

void config_fini(struct config *config)
{
    if (!config)
        return;
    free(config->host);
    free(config->public_folder);
    free(config->fetch_ca);
    free(config->trusted_proxies);
    string_list_fini(&config->allowed_origins);
    string_list_fini(&config->subprotocols);
    string_list_fini(&config->vars);
    for (size_t i = 0; i < config->n_crons; i++) {
        free(config->crons[i].name);
        free(config->crons[i].schedule);
    }
    free(config->crons);
    string_list_fini(&config->tls_certs);
    string_list_fini(&config->tls_keys);
    *config = (struct config){0};
}

bool config_trust(struct config *config, const char *text)
{
    static const struct {
        const char *name, *range;
    } named[] = {
        {"loopback", "127.0.0.0/8"},  {"loopback", "::1"},           {"private", "10.0.0.0/8"},
        {"private", "172.16.0.0/12"}, {"private", "192.168.0.0/16"}, {"private", "fc00::/7"},
    };
    struct address_range range;
    bool known = false;

    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        if (strcmp(named[i].name, text) == 0)
            known = config_trust(config, named[i].range);
    }
    if (known || !address_range_parse(span_of(text), &range))
        return known;
    struct address_range *ranges =
        reallocarray(config->trusted_proxies, config->n_trusted_proxies + 1, sizeof *ranges);
    CHECK(ranges != NULL);
    ranges[config->n_trusted_proxies++] = range;
    config->trusted_proxies = ranges;
    return true;
}

bool config_add_cron(struct config *config, const char *name, const char *schedule, struct buf *why)
{
    struct cron_schedule times;
    size_t at = 0;

    if (!cron_parse(&times, schedule, why))
        return false;
    struct config_cron *crons = reallocarray(config->crons, config->n_crons + 1, sizeof *crons);
    CHECK(crons != NULL);
    config->crons = crons;
    while (at < config->n_crons && strcmp(crons[at].name, name) < 0)
        at++;
    memmove(&crons[at + 1], &crons[at], (config->n_crons++ - at) * sizeof *crons);
    crons[at] = (struct config_cron){.name = xstrdup(name), .schedule = xstrdup(schedule), .times = times};
    return true;
}

void string_list_add(struct string_list *list, const char *item)
{
    /* One more at a time: these lists are short and written once. */
    char **items = reallocarray(list->items, list->count + 1, sizeof *items);
    CHECK(items != NULL);
    items[list->count++] = xstrdup(item);
    list->items = items;
}

void string_list_fini(struct string_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct string_list){0};
}

/* How many descriptors the process may have open, after asking for as many as it may. */
static uint64_t raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return DESCRIPTORS_KEPT;
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    return limit.rlim_cur;
}

void config_finish(struct config *config)
{
    struct limits *limits = &config->limits;

    if (limits->queue < limits->message * QUEUE_MESSAGES)
        limits->queue = limits->message * QUEUE_MESSAGES;

    uint64_t descriptors = raise_descriptors();
    if (limits->connections == LIMIT_NONE)
        limits->connections = descriptors > DESCRIPTORS_KEPT ? descriptors - DESCRIPTORS_KEPT : 1;
}
