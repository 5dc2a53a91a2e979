/* See parser.h. A head goes through lint.c, then through llhttp; what either refuses, or what
 * they read differently, is refused, so that no leniency of one of them gets through. The body
 * likewise: its framing is followed by our own count (chunked.c, or Content-Length), and llhttp
 * must find the same end. Each request has a fresh llhttp, and is stopped at its own end, so
 * that llhttp's ideas of keep-alive and upgrades never matter. */
#include "http/parser.h"

#include "base/check.h"
#include "http/chunked.h"
#include "http/lint.h"

#include <errno.h>
#include <llhttp.h>
#include <stdlib.h>

#define BLANK_LINES_MAX 4u       /* in front of a request; RFC 9112 §2.2 wants one at least */
#define BODY_FIRST (64u * 1024u) /* a body that announces less has its whole memory at once */

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_COMPLETE, PHASE_REFUSED };

struct http_parser_state {
    struct http_lint lint;
    struct http_chunked chunked;
    llhttp_t llhttp;
    uint64_t left; /* of a body with Content-Length */
    uint8_t phase;
    uint8_t blank_lines;
    bool no_memory;   /* why on_body failed */
    bool target_same; /* llhttp found the target that lint found */
};

/* ---- what llhttp calls; non-zero stops it ---- */

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    const struct http_lint *lint = &parser->state->lint;
    parser->state->target_same =
        len == lint->target_len && at == parser->request->method.ptr + lint->target_at;
    return 0;
}

static int on_field(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    struct http_request *request = parser->request;
    if (request->n_headers == parser->state->lint.n_fields)
        return -1;
    request->headers[request->n_headers++].name = (struct span){at, len};
    return 0;
}

static int on_value(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    struct http_request *request = parser->request;
    if (request->n_headers == 0)
        return -1;
    request->headers[request->n_headers - 1].value = span_trim((struct span){at, len});
    return 0;
}

/* Adds to the body; one that has come in one piece is copied as it is. */
static bool store(struct http_request *request, uint64_t announced, const char *at, size_t len)
{
    if (announced > 0 && len == announced) {
        request->body = bytes_copy(at, len);
        return request->body;
    }
    if (!request->body)
        request->body =
            bytes_new_growing(announced > len && announced < BODY_FIRST ? (size_t)announced : len);
    return request->body &&
           bytes_append_within(request->body, at, len, announced ? (size_t)announced : SIZE_MAX) == 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    parser->state->no_memory = !store(parser->request, parser->state->lint.content_length, at, len);
    return parser->state->no_memory ? -1 : 0;
}

static int pause(llhttp_t *llhttp)
{
    (void)llhttp;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = pause,
    .on_body = on_body,
    .on_message_complete = pause,
};

/* ---- the parser ---- */

int http_parser_init(struct http_parser *parser, const struct http_limits *limits)
{
    *parser = (struct http_parser){.limits = limits, .state = calloc(1, sizeof *parser->state)};
    return parser->state ? 0 : -ENOMEM;
}

void http_parser_fini(struct http_parser *parser)
{
    if (!parser)
        return;
    http_request_free(parser->request);
    free(parser->state);
    *parser = (struct http_parser){0};
}

static enum http_parse refuse(struct http_parser *parser, int status, const char *text)
{
    parser->state->phase = PHASE_REFUSED;
    parser->status = status;
    parser->text = text;
    return HTTP_REFUSED;
}

void http_parser_drop(struct http_parser *parser)
{
    parser->state->phase = PHASE_REFUSED;
    http_request_free(parser->request);
    parser->request = NULL;
}

static enum http_parse refuse_memory(struct http_parser *parser)
{
    return refuse(parser, 503, "Out of memory");
}

/* An unfilled request that holds a copy of the head, and has room behind it for the target once
 * more. NULL when there is no memory. */
static struct http_request *new_request(const struct http_lint *lint, const char *head)
{
    size_t fields = lint->n_fields * sizeof(struct http_header);
    size_t size = sizeof(struct http_request) + fields + lint->at + lint->target_len + 1;
    struct http_request *request = malloc(size);
    if (!request)
        return NULL;
    *request = (struct http_request){.headers = (struct http_header *)(request + 1), .size = size};
    memcpy(request->headers + lint->n_fields, head, lint->at);
    return request;
}

/* The target without an absolute-form's scheme and authority; "/" where its path is empty
 * (RFC 9112 §3.2.1). */
static struct span relative_target(const struct http_lint *lint, char *text)
{
    size_t len = lint->target_at + lint->target_len - lint->path_at;
    struct span rest = {text + lint->path_at, len};
    if (!lint->absolute || (len > 0 && rest.ptr[0] == '/'))
        return rest;
    char *target = text + lint->at;
    target[0] = '/';
    memcpy(target + 1, rest.ptr, len);
    return (struct span){target, len + 1};
}

/* Everything but the header fields, which llhttp finds. */
static void fill_request(struct http_request *request, const struct http_lint *lint)
{
    char *text = (char *)(request->headers + lint->n_fields);
    request->method = (struct span){text, lint->method_len};
    request->target = request->path = relative_target(lint, text);
    const char *mark = memchr(request->target.ptr, '?', request->target.len);
    if (mark) {
        request->path.len = (size_t)(mark - request->target.ptr);
        request->query = (struct span){mark + 1, request->target.len - request->path.len - 1};
    }
    if (lint->absolute || lint->has_host)
        request->host = (struct span){text + lint->host_at, lint->host_len};
    request->minor = lint->minor;
    request->keep_alive = !lint->close && (lint->minor > 0 || lint->persist);
    request->upgrade = lint->upgrade && lint->websocket;
}

/* Has llhttp read the head as lint has? */
static bool agreed(const struct http_parser *parser)
{
    const struct http_request *request = parser->request;
    const struct http_lint *lint = &parser->state->lint;
    const llhttp_t *llhttp = &parser->state->llhttp;
    return llhttp->error == HPE_PAUSED && llhttp->error_pos == request->method.ptr + lint->at &&
           span_equal(request->method, span_of(llhttp_method_name((llhttp_method_t)llhttp->method))) &&
           parser->state->target_same && llhttp->http_major == 1 && llhttp->http_minor == lint->minor &&
           request->n_headers == lint->n_fields && !(llhttp->flags & F_CHUNKED) == !lint->chunked &&
           !(llhttp->flags & F_CONTENT_LENGTH) == !lint->has_length &&
           llhttp->content_length == lint->content_length;
}

/* A head that has passed lint becomes the request. */
static enum http_parse read_head(struct http_parser *parser, const char *head)
{
    struct http_parser_state *state = parser->state;
    const struct http_lint *lint = &state->lint;
    struct http_request *request = new_request(lint, head);
    if (!request)
        return refuse_memory(parser);
    parser->request = request;
    fill_request(request, lint);

    llhttp_init(&state->llhttp, HTTP_REQUEST, &settings);
    state->llhttp.data = parser;
    llhttp_execute(&state->llhttp, request->method.ptr, lint->at);
    if (!agreed(parser))
        return refuse(parser, 400, "Malformed request");

    parser->in_body = lint->chunked || lint->content_length > 0;
    parser->expect_continue = lint->expect_continue && parser->in_body;
    state->left = lint->content_length;
    state->phase = PHASE_BODY;
    return HTTP_HEAD_DONE;
}

static enum http_parse feed_head(struct http_parser *parser, const char *data, size_t len, size_t *used)
{
    struct http_parser_state *state = parser->state;
    struct http_lint *lint = &state->lint;
    size_t skip = 0;
    if (lint->at == 0) {
        for (; len - skip >= 2 && data[skip] == '\r' && data[skip + 1] == '\n'; skip += 2)
            if (++state->blank_lines > BLANK_LINES_MAX)
                return refuse(parser, 400, "Too many empty lines");
        *used = skip;
        if (len == skip || (len - skip == 1 && data[skip] == '\r'))
            return HTTP_MORE;
        parser->started = true;
    }
    enum http_parse result = http_lint_feed(lint, parser->limits, data + skip, len - skip);
    if (result == HTTP_REFUSED)
        return refuse(parser, lint->status, lint->text);
    if (result == HTTP_MORE)
        return HTTP_MORE;
    *used = skip + lint->at;
    return read_head(parser, data + skip);
}

/* llhttp reads len bytes of the body; result says whether they are the last ones. */
static enum http_parse read_body(struct http_parser *parser, enum http_parse result, const char *data,
                                 size_t len)
{
    llhttp_t *llhttp = &parser->state->llhttp;
    if (len == 0)
        return result;
    llhttp_resume(llhttp); /* behind the head it is paused, later this does nothing */
    llhttp_execute(llhttp, data, len);
    if (parser->state->no_memory)
        return refuse_memory(parser);
    if (result == HTTP_COMPLETE ? llhttp->error != HPE_PAUSED || llhttp->error_pos != data + len
                                : llhttp->error != HPE_OK)
        return refuse(parser, 400, "Malformed body");
    return result;
}

static enum http_parse feed_chunked(struct http_parser *parser, const char *data, size_t len, size_t *used)
{
    struct http_chunked *chunked = &parser->state->chunked;
    enum http_parse result = HTTP_MORE;
    while (result == HTTP_MORE && *used < len) {
        size_t n;
        result = http_chunked_feed(chunked, parser->limits, data + *used, len - *used, &n);
        if (result == HTTP_REFUSED)
            return refuse(parser, chunked->status, chunked->text);
        if (!chunked->extra)
            result = read_body(parser, result, data + *used, n);
        *used += n;
    }
    return result;
}

static enum http_parse feed_length(struct http_parser *parser, const char *data, size_t len, size_t *used)
{
    uint64_t *left = &parser->state->left;
    *used = len < *left ? len : (size_t)*left;
    *left -= *used;
    return read_body(parser, *left ? HTTP_MORE : HTTP_COMPLETE, data, *used);
}

enum http_parse http_parser_feed(struct http_parser *parser, const uint8_t *data, size_t len, size_t *used)
{
    struct http_parser_state *state = parser->state;
    const char *text = (const char *)data;
    CHECK(state->phase != PHASE_REFUSED);
    *used = 0;
    if (state->phase == PHASE_HEAD)
        return feed_head(parser, text, len, used);
    if (parser->in_body) {
        enum http_parse result = state->lint.chunked ? feed_chunked(parser, text, len, used)
                                                     : feed_length(parser, text, len, used);
        if (result != HTTP_COMPLETE)
            return result;
    }
    if (parser->request->body && state->lint.chunked)
        bytes_trim(parser->request->body); /* it has grown without knowing how far */
    state->phase = PHASE_COMPLETE;
    parser->in_body = parser->started = false;
    return HTTP_COMPLETE;
}

struct http_request *http_parser_take(struct http_parser *parser)
{
    struct http_request *request = parser->request;
    if (parser->state->phase != PHASE_COMPLETE)
        return NULL;
    parser->request = NULL;
    parser->expect_continue = false;
    *parser->state = (struct http_parser_state){0};
    return request;
}
