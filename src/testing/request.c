#include "testing/request.h"

#include "base/check.h"
#include "http/parser.h"

#include <stdio.h>
#include <stdlib.h>

static int add(struct buf *out, struct span text)
{
    return buf_append(out, text.ptr ? text.ptr : "", text.len);
}

/* A room's id as it stands in a URL (RFC 3986 §2.3: what needs no escape). */
static int add_escaped(struct buf *out, struct span text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        rc = c && strchr(plain, c) ? buf_append(out, &c, 1) : buf_printf(out, "%%%02X", c);
    }
    return rc;
}

static int write_head(struct buf *out, struct span method, struct span path, struct span target,
                      struct span headers, struct span body, bool websocket)
{
    static const char upgrade[] = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    int rc = add(out, method);

    if (rc == 0)
        rc = buf_append(out, " ", 1);
    if (rc == 0)
        rc = add(out, path);
    if (rc == 0)
        rc = add(out, target);
    if (rc == 0)
        rc = buf_printf(out, " HTTP/1.1\r\nHost: " WORLD_HOST "\r\n%s", websocket ? upgrade : "");
    if (rc == 0)
        rc = add(out, headers);
    if (rc == 0 && body.ptr)
        rc = buf_printf(out, "Content-Length: %zu\r\n", body.len);
    return rc ? rc : buf_append(out, "\r\n", 2);
}

/* Feeds the parser with all of it. */
static struct http_request *parse(struct span head, struct span body, struct buf *error)
{
    static const struct http_limits limits = {.url = 64 * 1024, .headers = 256 * 1024, .body = SIZE_MAX / 2};
    struct http_parser parser;
    struct http_request *request = NULL;
    size_t used;

    CHECK(http_parser_init(&parser, &limits) == 0);
    enum http_parse result = http_parser_feed(&parser, (const uint8_t *)head.ptr, head.len, &used);
    if (result == HTTP_HEAD_DONE && used == head.len)
        result = http_parser_feed(&parser, (const uint8_t *)(body.ptr ? body.ptr : ""), body.len, &used);
    else if (result != HTTP_REFUSED)
        (void)!buf_printf(error, "a header ends the request's head");
    if (result == HTTP_COMPLETE)
        request = http_parser_take(&parser);
    else if (error->len == 0)
        (void)!buf_printf(error, "%d %s", parser.status, parser.text);
    http_parser_fini(&parser);
    return request;
}

struct http_request *request_make(struct span method, struct span party, struct span room, struct span target,
                                  struct span headers, struct span body, bool websocket, struct buf *error)
{
    struct buf path = {0}, head = {0};
    struct http_request *request = NULL;

    if (target.len > 0 && target.ptr[0] != '/' && target.ptr[0] != '?') {
        (void)!buf_printf(error, "a path begins with \"/\", or \"?\" for a query alone");
        return NULL;
    }
    int rc = party.ptr ? buf_printf(&path, "/parties/%.*s/", (int)party.len, party.ptr) : 0;
    if (rc == 0 && party.ptr)
        rc = add_escaped(&path, room);
    if (rc == 0)
        rc = write_head(&head, method, (struct span){(const char *)path.data, path.len}, target, headers,
                        body, websocket);
    if (rc == 0)
        request = parse((struct span){(const char *)head.data, head.len}, body, error);
    if (request) {
        snprintf(request->remote, sizeof request->remote, WORLD_REMOTE);
        request->subpath = request->path.len > path.len
                               ? (struct span){request->path.ptr + path.len, request->path.len - path.len}
                               : SPAN("/");
    }
    buf_fini(&path);
    buf_fini(&head);
    return request;
}

static struct asked *asked_of(struct http_sink *sink)
{
    return container_of(sink, struct asked, sink);
}

static void end_body(struct asked *asked)
{
    struct http_source *source = asked->response ? asked->response->source : NULL;

    if (source) {
        asked->response->source = NULL;
        source->close(source);
    }
}

static void on_piece(struct http_sink *sink, struct bytes *piece)
{
    struct asked *asked = asked_of(sink);

    if (!piece) { /* it breaks off */
        end_body(asked);
        return;
    }
    CHECK(buf_append(&asked->body, piece->data, piece->len) == 0);
    bytes_unref(piece);
    asked->response->source->pull(asked->response->source, sink);
}

static void on_end(struct http_sink *sink)
{
    end_body(asked_of(sink));
}

static void on_respond(struct exchange *exchange, struct http_response *response)
{
    struct asked *asked = container_of(exchange, struct asked, exchange);
    CHECK(!asked->answered);
    asked->answered = true;
    asked->response = response;
    if (response && response->source) {
        asked->sink = (struct http_sink){.piece = on_piece, .end = on_end};
        response->source->pull(response->source, &asked->sink);
    }
}

struct asked *request_new(struct world *world)
{
    struct asked *asked = xcalloc(sizeof *asked);

    asked->exchange.respond = on_respond;
    asked->number = ++world->last_number;
    list_push(&world->requests, &asked->link);
    return asked;
}

struct asked *request_ask(struct world *world, struct room *room, struct http_request *request)
{
    struct asked *asked = request_new(world);
    room_request(room, request, &asked->exchange);
    return asked;
}

struct asked *request_find(const struct world *world, uint64_t number)
{
    list_each(link, &world->requests) {
        struct asked *asked = container_of(link, struct asked, link);
        if (asked->number == number)
            return asked;
    }
    return NULL;
}

void requests_end(struct world *world)
{
    list_each(link, &world->requests) {
        end_body(container_of(link, struct asked, link));
    }
}

void requests_free(struct world *world)
{
    struct list *link;

    while ((link = list_pop(&world->requests)) != NULL) {
        struct asked *asked = container_of(link, struct asked, link);
        CHECK(asked->answered);
        end_body(asked);
        http_response_free(asked->response);
        buf_fini(&asked->body);
        free(asked);
    }
}
