/* A URL that names no room is looked for in this order, each step later than the one before:
 *
 *   static_serve            what is the server's own (embedded.c)
 *                → on_file  the file itself; index.html for a folder
 *   missed → on_fetched     what is not there: the project's own answer (onFetch)
 *   send_page → on_page     index.html (single-page application), or 404.html, or a line of text
 *
 * What is in a file's answer is here; how a file is found, opened and read is in static_file.c, which part of
 * it is wanted in http/range.c, and whether any is in http/precondition.c. */
#include "edge/static.h"

#include "base/clock.h"
#include "base/log.h"
#include "edge/embedded.h"
#include "edge/static_file.h"
#include "edge/static_path.h"
#include "http/date.h"
#include "http/precondition.h"
#include "http/range.h"
#include "room/hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Of all answers that a file decides: revalidate each time, and believe the type. */
#define STATIC_HEADERS "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\n"

/* A file that was changed this short a time ago may change again without a new time: clocks of file systems
 * have ticks, of up to 2 s. */
#define SETTLED_MS 2000

struct static_request {
    struct static_lookup lookup;
    struct http_sink sink; /* of a body that is one piece */
    struct hook_call call; /* while onFetch has the request */
    struct edge *edge;
    struct http_request *request;   /* owned */
    struct exchange *exchange;      /* answered once */
    struct buf path;                /* of the file; empty: none can have this URL */
    int status;                     /* of the page */
    struct http_response *response; /* owned; waits for its body */
};

/* ---- answers ---- */

static void answer(struct static_request *self, struct http_response *response)
{
    struct exchange *exchange = self->exchange;

    http_request_free(self->request);
    buf_fini(&self->path);
    free(self);
    exchange->respond(exchange, response);
}

/* The header lines, as a buffer has them, on the response; frees both when there was no memory. */
static struct http_response *with_headers(struct http_response *response, struct buf *lines, int rc)
{
    if (response && rc == 0)
        response->headers = bytes_copy(lines->data, lines->len);
    if (response && !response->headers) {
        http_response_free(response);
        response = NULL;
    }
    buf_fini(lines);
    return response;
}

static void answer_text(struct static_request *self, int status, const char *text, const char *headers)
{
    struct buf lines = {0};
    int rc = buf_append(&lines, headers, strlen(headers));
    answer(self, with_headers(http_response_text(status, text), &lines, rc));
}

/* A folder without the "/" at its end. Paths with empty segments are no file's, so this one can't begin with
 * "//", which would name another host. */
static void answer_redirect(struct static_request *self)
{
    const struct http_request *request = self->request;
    struct span path = request->path, query = request->query;
    struct buf lines = {0};

    int rc = buf_printf(&lines, STATIC_HEADERS "Location: %.*s/%s%.*s\r\n", (int)path.len, path.ptr,
                        query.ptr ? "?" : "", (int)query.len, query.ptr ? query.ptr : "");
    answer(self, with_headers(http_response_new(301), &lines, rc));
}

/* ---- the body ---- */

/* The whole body, of a response that waits for it. */
static void on_piece(struct http_sink *sink, struct bytes *piece)
{
    struct static_request *self = container_of(sink, struct static_request, sink);
    struct http_response *response = self->response;

    if (piece && piece->len == response->source->length) {
        response->source->close(response->source);
        response->source = NULL;
        response->body = piece;
        answer(self, response);
        return;
    }
    bytes_unref(piece);
    http_response_free(response);
    answer_text(self, 503, "The file changed while it was read", "Retry-After: 1\r\n");
}

/* Answers with len bytes of the file. What is one piece leaves together with its head. */
static void answer_file(struct static_request *self, struct http_response *response, uint64_t first,
                        uint64_t len)
{
    bool get = span_equal(self->request->method, SPAN("GET"));
    struct http_source *source = static_source_new(self->edge->net->loop, self->lookup.fd, first, len);

    if (!response || !source) {
        if (source)
            source->close(source);
        http_response_free(response);
        answer(self, NULL);
        return;
    }
    response->source = source;
    if (get && len > 0 && len <= STATIC_PIECE) {
        self->response = response;
        self->sink.piece = on_piece;
        source->pull(source, &self->sink);
    } else {
        answer(self, response);
    }
}

/* ---- the head ---- */

/* What identifies this version of a file. text: 64 bytes for its ETag. */
static struct http_validators validators_of(const struct stat *info, char text[64])
{
    int64_t now = clock_wall_ms(), modified = info->st_mtim.tv_sec;
    bool strong = now - (modified * 1000 + info->st_mtim.tv_nsec / NS_PER_MS) >= SETTLED_MS;
    int len = snprintf(text, 64, "%s\"%llx-%llx%08lx-%llx\"", strong ? "" : "W/",
                       (unsigned long long)info->st_size, (unsigned long long)modified,
                       (unsigned long)info->st_mtim.tv_nsec, (unsigned long long)info->st_ino);
    return (struct http_validators){{text, (size_t)len}, modified, strong, now / 1000};
}

/* A response about the file that was found, without its body. part: the line Content-Range, or "". */
static struct http_response *file_response(const struct static_request *self, int status,
                                           const struct http_validators *validators, const char *part)
{
    struct span path = {(const char *)self->path.data, self->path.len - 1};
    struct http_response *response = http_response_new(status);
    struct buf lines = {0};
    char date[HTTP_DATE_LEN];

    int rc = buf_printf(&lines, STATIC_HEADERS "%s",
                        self->edge->config->single_page_app ? "Vary: Accept\r\n" : "");
    if (rc == 0 && status != 304)
        rc = buf_printf(&lines, "Content-Type: %s\r\n%s", static_type(path), part);
    if (rc == 0 && validators) {
        /* One from the future would be after the response itself (RFC 9110 §8.8.2.1). */
        http_date_write(validators->modified < validators->now ? validators->modified : validators->now,
                        date);
        rc = buf_printf(&lines, "Accept-Ranges: bytes\r\nETag: %s\r\nLast-Modified: %.*s\r\n",
                        validators->etag.ptr, (int)sizeof date, date);
    }
    if (response)
        response->has_type = status != 304;
    return with_headers(response, &lines, rc);
}

/* The file was found, and the method is GET or HEAD. */
static void send_file(struct static_request *self)
{
    const struct http_request *request = self->request;
    uint64_t size = (uint64_t)self->lookup.info.st_size, first = 0, len = size;
    char etag[64], part[96] = "";

    struct http_validators validators = validators_of(&self->lookup.info, etag);
    int status = http_precondition(request, &validators);
    if (status) {
        static_fd_close(self->lookup.fd);
        if (status == 304)
            answer(self, file_response(self, 304, &validators, ""));
        else
            answer_text(self, status, "The file is another one by now", STATIC_HEADERS);
        return;
    }
    enum http_range range =
        http_if_range(request, &validators) ? http_range_of(request, size, &first, &len) : HTTP_RANGE_ALL;
    if (range == HTTP_RANGE_NONE) {
        static_fd_close(self->lookup.fd);
        snprintf(part, sizeof part, STATIC_HEADERS "Content-Range: bytes */%llu\r\n",
                 (unsigned long long)size);
        answer_text(self, 416, "The file is shorter", part);
        return;
    }
    if (range == HTTP_RANGE_PART)
        snprintf(part, sizeof part, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)first,
                 (unsigned long long)(first + len - 1), (unsigned long long)size);
    status = range == HTTP_RANGE_PART ? 206 : 200;
    answer_file(self, file_response(self, status, &validators, part), first, len);
}

/* ---- the steps ---- */

static void look_for(struct static_request *self, void (*found)(struct static_lookup *lookup))
{
    self->lookup.folder = self->edge->files;
    self->lookup.path = (const char *)self->path.data;
    self->lookup.found = found;
    static_lookup_start(&self->lookup, self->edge->net->loop);
}

static void on_page(struct static_lookup *lookup)
{
    struct static_request *self = container_of(lookup, struct static_request, lookup);

    if (lookup->error)
        answer_text(self, 404, "Not found", "");
    else if (self->status == 200)
        send_file(self);
    else
        answer_file(self, file_response(self, self->status, NULL, ""), 0, (uint64_t)lookup->info.st_size);
}

/* The page for a URL that names nothing. */
static void send_page(struct static_request *self)
{
    struct edge *edge = self->edge;
    bool application =
        edge->config->single_page_app && self->path.len > 0 && static_wants_page(self->request);
    const char *page = application ? "index.html" : "404.html";

    self->status = application ? 200 : 404;
    self->path.len = 0;
    if (!edge->files)
        answer_text(self, 404, "Not found", "");
    else if (buf_append(&self->path, page, strlen(page) + 1) != 0)
        answer(self, NULL);
    else
        look_for(self, on_page);
}

/* onFetch has answered, or leaves it to the page. */
static void on_fetched(struct exchange *exchange, struct http_response *response)
{
    struct static_request *self =
        container_of(container_of(exchange, struct hook_call, exchange), struct static_request, call);

    if (!response && self->call.verdict == HOOK_PASS) {
        self->request = self->call.request;
        self->request->subpath = self->request->path;
        send_page(self);
    } else {
        hook_call_fini(&self->call);
        answer(self, response);
    }
}

/* There is no such file: the party main may answer in its place. */
static void missed(struct static_request *self)
{
    struct rooms *rooms = self->edge->rooms;
    struct party *main = self->edge->find_party(self->edge->user, SPAN("main"));
    struct http_request *request = self->request;

    if (!main || !rooms->script->has_hook(main, HOOK_FETCH)) {
        send_page(self);
        return;
    }
    self->request = NULL;
    self->call = (struct hook_call){.exchange = {.respond = on_fetched}, .kind = HOOK_FETCH};
    request->subpath = request->path;
    room_hook(rooms, main, &self->call, request);
}

/* It is there and can't be read; the operator should know. */
static void complain(const struct static_request *self)
{
    log_event(LOG_WARN, "a static file can't be read", log_str("file", (const char *)self->path.data),
              log_str("error", strerror(-self->lookup.error)));
}

static void on_file(struct static_lookup *lookup)
{
    struct static_request *self = container_of(lookup, struct static_request, lookup);
    struct span method = self->request->method;
    bool found = lookup->error == 0 || lookup->error == -EISDIR;

    if (found && !span_equal(method, SPAN("GET")) && !span_equal(method, SPAN("HEAD"))) {
        if (lookup->error == 0)
            static_fd_close(lookup->fd);
        answer_text(self, 405, "Method not allowed", STATIC_HEADERS "Allow: GET, HEAD\r\n");
        return;
    }
    switch (lookup->error) {
    case 0: send_file(self); break;
    case -EISDIR: answer_redirect(self); break;
    case -ENOENT: missed(self); break;
    case -EACCES:
    case -EPERM:
        complain(self);
        missed(self);
        break;
    default: complain(self); answer_text(self, 503, "The file can't be read", "Retry-After: 5\r\n");
    }
}

void static_serve(struct edge *edge, struct http_request *request, struct exchange *exchange)
{
    struct static_request *self = calloc(1, sizeof *self);
    if (!self) {
        http_request_free(request);
        exchange->respond(exchange, NULL);
        return;
    }
    self->edge = edge;
    self->request = request;
    self->exchange = exchange;
    int rc = static_path(request->path, &self->path);
    struct span path = {(const char *)self->path.data, rc == 0 ? self->path.len - 1 : 0};
    if (rc == -ENOMEM)
        answer(self, NULL);
    else if (rc == 0 && embedded_owns(path))
        answer(self, embedded_response(request, path));
    else if (rc == 0 && edge->files)
        look_for(self, on_file);
    else
        missed(self);
}
