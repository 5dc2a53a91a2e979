/* What the process counts: everything that was refused, dropped or closed, and the few
 * totals beside it. One struct per loop thread, written by that thread alone. */
#pragma once

#include <stdint.h>

/* name, what it counts */
#define COUNTERS(X)                                                                                          \
    X(connections_accepted, "TCP connections accepted")                                                      \
    X(connections_refused, "TCP connections refused over the limit `connections`")                           \
    X(tls_failed,                                                                                            \
      "connections that ended before their TLS handshake was over, plain ones to a TLS port included")       \
    X(requests, "HTTP requests read, upgrades included")                                                     \
    X(requests_refused, "requests refused before a room: malformed, too large, too slow")                    \
    X(requests_overload, "requests refused with 503 because a room had too much waiting")                    \
    X(requests_failed, "requests that ended as a 500")                                                       \
    X(sockets_opened, "WebSockets and event streams opened")                                                 \
    X(sockets_closed, "WebSockets and event streams closed, for any reason")                                 \
    X(sockets_refused, "upgrades refused")                                                                   \
    X(sockets_protocol_errors, "WebSockets closed because the client broke RFC 6455")                        \
    X(sockets_over_rate, "WebSockets closed because they sent too much in a second")                         \
    X(sockets_slow, "connections closed because too much waited for them")                                   \
    X(sockets_dead, "WebSockets closed because pings were not answered")                                     \
    X(timeouts, "connections closed because a head, body or close did not come in time")                     \
    X(messages_received, "WebSocket messages that reached a room")                                           \
    X(messages_dropped, "messages of closing or closed connections that were dropped")                       \
    X(rooms_started, "rooms made")                                                                           \
    X(rooms_stopped, "rooms that left memory")                                                               \
    X(rooms_restarted, "rooms restarted because their memory stayed used up")                                \
    X(handler_errors, "handlers that ended with an error")                                                   \
    X(memory_errors, "handlers that ended because a room's memory was used up")                              \
    X(time_errors, "handlers that ended because they ran for too long")                                      \
    X(fetches, "fetches that were sent")                                                                     \
    X(fetches_failed, "fetches without a response")                                                          \
    X(reloads, "versions of the project taken over")                                                         \
    X(reloads_failed, "versions of the project that did not load")

struct counters {
#define X(name, help) uint64_t name;
    COUNTERS(X)
#undef X
};
