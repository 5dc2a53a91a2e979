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

/* A span of the original, in the copy; literals stay what they are. */
static struct span moved(struct span span, const struct http_request *from, const struct http_request *to)
{
    uintptr_t at = (uintptr_t)span.ptr, begin = (uintptr_t)from;

    if (span.ptr && at >= begin && at - begin < from->size)
        span.ptr = (const char *)to + (at - begin);
    return span;
}

struct http_request *http_request_copy(const struct http_request *request)
{
    struct http_request *copy = malloc(request->size);

    if (!copy)
        return NULL;
    memcpy(copy, request, request->size);
    struct span *const spans[] = {&copy->method, &copy->target,  &copy->path,
                                  &copy->query,  &copy->subpath, &copy->host};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        *spans[i] = moved(*spans[i], request, copy);
    copy->headers = (struct http_header *)(copy + 1);
    for (size_t i = 0; i < copy->n_headers; i++) {
        copy->headers[i].name = moved(copy->headers[i].name, request, copy);
        copy->headers[i].value = moved(copy->headers[i].value, request, copy);
    }
    copy->body = bytes_ref(request->body);
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
