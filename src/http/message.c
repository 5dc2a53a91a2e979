/* Requests and responses as data, see message.h. Requests are made by the parser, responses by
 * scripts and the edge; both end here. */
#include "http/message.h"

#include "http/field.h"

#include <stdlib.h>

struct span http_request_header(const struct http_request *request, const char *name)
{
    struct span wanted = span_of(name);
    for (size_t i = 0; i < request->n_headers; i++)
        if (span_equal_nocase(request->headers[i].name, wanted))
            return request->headers[i].value;
    return (struct span){NULL, 0};
}

bool http_request_has_token(const struct http_request *request, const char *name, const char *token)
{
    struct span wanted = span_of(name), sought = span_of(token);
    for (size_t i = 0; i < request->n_headers; i++) {
        if (!span_equal_nocase(request->headers[i].name, wanted))
            continue;
        struct span rest = request->headers[i].value, element;
        while (http_list_next(&rest, &element))
            if (span_equal_nocase(element, sought))
                return true;
    }
    return false;
}

size_t http_request_parts_size(const struct http_request_parts *parts)
{
    size_t size = sizeof(struct http_request) + parts->n_headers * sizeof *parts->headers +
                  parts->method.len + parts->target.len;

    for (size_t i = 0; i < parts->n_headers; i++)
        size += parts->headers[i].name.len + parts->headers[i].value.len;
    return size;
}

/* A copy at *at, which moves behind it. */
static struct span put_span(char **at, struct span span)
{
    struct span copy = {*at, span.len};
    if (span.len > 0)
        memcpy(*at, span.ptr, span.len);
    *at += span.len;
    return copy;
}

struct http_request *http_request_make(const struct http_request_parts *parts)
{
    size_t size = http_request_parts_size(parts);
    struct http_request *request = malloc(size);

    if (!request)
        return NULL;
    struct http_header *headers = (struct http_header *)(request + 1);
    char *at = (char *)(headers + parts->n_headers);
    struct span target, path;
    *request = (struct http_request){.minor = 1, .keep_alive = true, .size = size, .headers = headers};
    request->method = put_span(&at, parts->method);
    request->target = target = path = put_span(&at, parts->target);
    const char *mark = memchr(target.ptr, '?', target.len);
    if (mark) {
        path.len = (size_t)(mark - target.ptr);
        request->query = (struct span){mark + 1, target.len - path.len - 1};
    }
    request->path = path;
    request->subpath = (struct span){path.ptr + parts->subpath, path.len - parts->subpath};
    request->n_headers = parts->n_headers;
    for (size_t i = 0; i < parts->n_headers; i++) {
        headers[i].name = put_span(&at, parts->headers[i].name);
        headers[i].value = put_span(&at, parts->headers[i].value);
    }
    request->body = parts->body;
    return request;
}

/* A copy of the text at *to, which moves behind it. */
static struct span copy_span(char **to, struct span text)
{
    char *copy = *to;
    if (!text.ptr)
        return text;
    memcpy(copy, text.ptr, text.len);
    *to += text.len;
    return (struct span){copy, text.len};
}

/* What part is in a copy of whole; what does not lie in that (a literal) stays what it is. */
static struct span span_within(struct span part, struct span whole, struct span copy)
{
    uintptr_t at = (uintptr_t)part.ptr, begin = (uintptr_t)whole.ptr;

    if (part.ptr && at >= begin && at - begin <= whole.len)
        part.ptr = copy.ptr + (at - begin);
    return part;
}

/* A copy with these header fields, that has the body without a reference of its own. */
static struct http_request *copy_with(const struct http_request *request, const struct http_header *headers,
                                      size_t n)
{
    size_t text = request->method.len + request->target.len + request->host.len;
    for (size_t i = 0; i < n; i++)
        text += headers[i].name.len + headers[i].value.len;

    size_t size = sizeof *request + n * sizeof(struct http_header) + text + 1;
    struct http_request *copy = malloc(size);
    if (!copy)
        return NULL;
    *copy = *request;
    copy->size = size;
    copy->headers = (struct http_header *)(copy + 1);
    copy->n_headers = n;
    char *at = (char *)(copy->headers + n);
    copy->method = copy_span(&at, request->method);
    copy->target = copy_span(&at, request->target);
    copy->host = copy_span(&at, request->host);
    copy->path = span_within(request->path, request->target, copy->target);
    copy->query = span_within(request->query, request->target, copy->target);
    copy->subpath = span_within(request->subpath, request->target, copy->target);
    for (size_t i = 0; i < n; i++) {
        copy->headers[i].name = copy_span(&at, headers[i].name);
        copy->headers[i].value = copy_span(&at, headers[i].value);
    }
    return copy;
}

struct http_request *http_request_copy(const struct http_request *request)
{
    struct http_request *copy = copy_with(request, request->headers, request->n_headers);

    if (copy)
        bytes_ref(copy->body);
    return copy;
}

struct http_request *http_request_rewrite(struct http_request *request, const struct http_header *headers,
                                          size_t n)
{
    struct http_request *copy = copy_with(request, headers, n);

    if (!copy)
        return NULL;
    copy->subpath = (struct span){NULL, 0}; /* the router's */
    request->body = NULL;
    return copy;
}

void http_request_free(struct http_request *request)
{
    if (!request)
        return;
    bytes_unref(request->body);
    free(request);
}

struct http_response *http_response_new(int status)
{
    struct http_response *response = calloc(1, sizeof *response);
    if (response)
        response->status = status;
    return response;
}

struct http_response *http_response_text(int status, const char *text)
{
    struct http_response *response = http_response_new(status);
    if (!response || !*text)
        return response;
    response->body = bytes_copy(text, strlen(text));
    if (!response->body) {
        free(response);
        return NULL;
    }
    return response;
}

static char *copy_of(const char *text)
{
    return text ? strdup(text) : NULL;
}

struct http_problem *http_problem_copy(const struct http_problem *problem)
{
    struct http_problem *copy = calloc(1, sizeof *copy);
    if (copy)
        *copy = (struct http_problem){.title = copy_of(problem->title),
                                      .message = copy_of(problem->message),
                                      .file = copy_of(problem->file),
                                      .line = problem->line,
                                      .traceback = copy_of(problem->traceback),
                                      .source = copy_of(problem->source)};
    return copy;
}

void http_problem_free(struct http_problem *problem)
{
    if (!problem)
        return;
    free(problem->title);
    free(problem->message);
    free(problem->file);
    free(problem->traceback);
    free(problem->source);
    free(problem);
}

size_t http_response_size(const struct http_response *response)
{
    return response ? sizeof *response + bytes_cost(response->reason) + bytes_cost(response->headers) +
                          bytes_cost(response->body)
                    : 0;
}

void http_response_free(struct http_response *response)
{
    if (!response)
        return;
    http_problem_free(response->problem);
    bytes_unref(response->reason);
    bytes_unref(response->headers);
    bytes_unref(response->body);
    if (response->source)
        response->source->close(response->source);
    free(response);
}
