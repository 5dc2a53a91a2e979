/* The configuration: what festa.lua and the flags say, with the default of every limit.
 *
 * Read by every layer, written by app (flags) and script (festa.lua) before the first
 * loop runs; after that nobody changes it. The table of limits below is the one place
 * where a limit's name, default and range stand. */
#pragma once

#include "base/address.h"
#include "base/cron.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name in festa.lua, field, default, least, most, what it bounds.
 * UINT64_MAX as default means "none" (connections: descriptors - 64). */
#define LIMIT_NONE UINT64_MAX
#define LIMITS(X)                                                                                            \
    X("message", message, 1024 * 1024, 1, 1ull << 32, "bytes of one WebSocket message")                      \
    X("body", body, 10 * 1024 * 1024, 0, 1ull << 32, "bytes of a request's body")                            \
    X("url", url, 8 * 1024, 64, 1 << 20, "bytes of a request's URL")                                         \
    X("headers", headers, 16 * 1024, 256, 1 << 20, "bytes of a request's header lines")                      \
    X("headerTimeout", header_timeout, 10 * 1000, 1, 86400000, "ms for a request's head")                    \
    X("bodyTimeout", body_timeout, 60 * 1000, 1, 86400000, "ms for a request's body")                        \
    X("idleTimeout", idle_timeout, 75 * 1000, 1, 86400000, "ms between two requests of a connection")        \
    X("closeTimeout", close_timeout, 5 * 1000, 1, 86400000, "ms for a client's answer to a close")           \
    X("stopTimeout", stop_timeout, 10 * 1000, 1, 86400000,                                                   \
      "ms for handlers to finish when the server stops")                                                     \
    X("connections", connections, LIMIT_NONE, 1, 1ull << 32, "connections of the process")                   \
    X("connectionsPerRoom", connections_per_room, LIMIT_NONE, 1, 1ull << 32,                                 \
      "WebSockets and event streams of one room")                                                            \
    X("messagesPerSecond", messages_per_second, LIMIT_NONE, 1, 1ull << 32,                                   \
      "messages of one WebSocket in a second")                                                               \
    X("bytesPerSecond", bytes_per_second, LIMIT_NONE, 1, 1ull << 40, "bytes of them in a second")            \
    X("queue", queue, 4 * 1024 * 1024, 1024, 1ull << 40, "bytes waiting for one connection")                 \
    X("events", events, 1024, 1, 1 << 20, "events waiting in a room's inbox")                                \
    X("handlers", handlers, 256, 1, 1 << 20, "handlers of a room that wait")                                 \
    X("pingInterval", ping_interval, 30 * 1000, 1, 86400000, "ms between the server's pings")                \
    X("callTimeout", call_timeout, 30 * 1000, 1, 86400000, "ms for a room's answer to another room")         \
    X("handlerTime", handler_time, 250, 1, 86400000, "ms of Lua without a wait")                             \
    X("stuckTime", stuck_time, 10 * 1000, 1, 86400000,                                                       \
      "ms beyond handlerTime until a handler that nothing stops ends the server")                            \
    X("roomMemory", room_memory, 32 * 1024 * 1024, 64 * 1024, 1ull << 40, "bytes of a room's VM")            \
    X("idleRoom", idle_room, 10 * 60 * 1000, 1, 1ull << 40, "ms until an idle room leaves memory")           \
    X("fetches", fetches, 64, 1, 1 << 16, "fetches of a room that are under way")                            \
    X("fetchTimeout", fetch_timeout, 30 * 1000, 1, 86400000, "ms for a fetch that names no other time")      \
    X("fetchBody", fetch_body, 10 * 1024 * 1024, 0, 1ull << 32, "bytes of a response's body")                \
    X("storageKey", storage_key, 2048, 1, 64 * 1024, "bytes of a key in storage")                            \
    X("storageValue", storage_value, 2 * 1024 * 1024, 16, 1ull << 30, "bytes of a value in storage")

struct limits {
#define X(name, field, fallback, least, most, help) uint64_t field;
    LIMITS(X)
#undef X
};

struct limit_info {
    const char *name; /* as written in festa.lua */
    size_t offset;    /* of the uint64_t in struct limits */
    uint64_t fallback, least, most;
    const char *help;
};
extern const struct limit_info limit_infos[]; /* ended by a NULL name */

struct string_list {
    char **items; /* owned, as are the strings */
    size_t count;
};

struct config_cron {
    char *name, *schedule; /* owned */
    struct cron_schedule times;
};

struct config {
    char *host;          /* owned; an address or a name; "127.0.0.1" */
    int port;            /* 1999; 0: any free one */
    int threads;         /* 0: as many as cores */
    int storage_files;   /* of a data folder that is made */
    char *public_folder; /* owned; "public"; relative to the project's root */
    bool public_set;     /* it was configured, so it must be there */
    bool single_page_app, cors, deflate, reject_with_close;
    bool io_uring;   /* true: used where the kernel allows it */
    bool dev;        /* festa dev: errors are shown, and pages of this machine may connect from any port */
    bool any_origin; /* allowedOrigins has "*" */
    struct string_list allowed_origins; /* none: the same host, or no Origin at all */
    bool allowed_origins_set;
    struct address_range *trusted_proxies; /* owned; whose word counts on the client for whom they speak */
    size_t n_trusted_proxies;
    bool fetch_private; /* true: fetch may go to addresses of this machine and its networks */
    char
        *fetch_ca; /* owned; PEM file of authorities besides the system's, absolute once loaded; NULL: none */
    struct string_list subprotocols; /* in the order of preference */
    struct string_list vars;         /* "NAME=value", as configured in vars */
    struct config_cron *crons;       /* owned; by name */
    size_t n_crons;
    /* Files of the pairs, as many of each; none: no TLS. The first pair is for clients that name no host, or one that
     * no certificate has. */
    struct string_list tls_certs, tls_keys;
    struct limits limits;
};

/* All defaults. */
void config_init(struct config *config);

/* Frees what it owns. Accepts a zeroed one. */
void config_fini(struct config *config);

/* Adds to the trusted proxies: an address, a range in the form of address_range_parse, "loopback" (127.0.0.0/8 and
 * ::1) or "private" (RFC 1918, and fc00::/7 of RFC 4193). False: it is none of these. */
bool config_trust(struct config *config, const char *text);

/* Adds a cron, in its place by name. false: the schedule is none, and why (appended) says so. */
bool config_add_cron(struct config *config, const char *name, const char *schedule, struct buf *why);

/* Adds a copy. */
void string_list_add(struct string_list *list, const char *item);
void string_list_fini(struct string_list *list);

/* Makes what depends on other values right once all are known: queue is at least four
 * times message, connections unset becomes the descriptors that the process may open
 * minus 64 (after raising the soft limit to the hard one). */
void config_finish(struct config *config);
