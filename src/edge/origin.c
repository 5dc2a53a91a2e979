#include "edge/origin.h"

struct authority {
    struct span host;
    struct span port;
};

/* host[:port], where an IPv6 address stands in brackets. */
static struct authority split_authority(struct span text)
{
    struct authority result = {text, {NULL, 0}};
    for (size_t i = text.len; i > 0 && text.ptr[i - 1] != ']'; i--) {
        if (text.ptr[i - 1] == ':') {
            result.host.len = i - 1;
            result.port = (struct span){text.ptr + i, text.len - i};
            break;
        }
    }
    return result;
}

static bool strip_prefix(struct span *text, struct span prefix)
{
    if (text->len < prefix.len || strncasecmp(text->ptr, prefix.ptr, prefix.len) != 0)
        return false;
    text->ptr += prefix.len;
    text->len -= prefix.len;
    return true;
}

static bool same_host(struct span origin, struct span host)
{
    struct span port = {NULL, 0};

    if (strip_prefix(&origin, SPAN("http://")))
        port = SPAN("80");
    else if (strip_prefix(&origin, SPAN("https://")))
        port = SPAN("443");
    else
        return false;
    struct authority a = split_authority(origin), b = split_authority(host);
    if (a.port.len == 0)
        a.port = port;
    if (b.port.len == 0)
        b.port = port;
    return a.host.len > 0 && span_equal_nocase(a.host, b.host) && span_equal(a.port, b.port);
}

/* A page that this machine serves, whatever the port: a front end's own development server. */
static bool is_local(struct span origin)
{
    if (!strip_prefix(&origin, SPAN("http://")) && !strip_prefix(&origin, SPAN("https://")))
        return false;
    struct span host = split_authority(origin).host;
    return span_equal_nocase(host, SPAN("localhost")) || span_equal(host, SPAN("127.0.0.1")) ||
           span_equal(host, SPAN("[::1]"));
}

bool origin_allowed(const struct config *config, const struct http_request *request)
{
    struct span origin = http_request_header(request, "origin");

    if (!origin.ptr || config->any_origin || (config->dev && is_local(origin)))
        return true;
    if (!config->allowed_origins_set)
        return same_host(origin, request->host);
    for (size_t i = 0; i < config->allowed_origins.count; i++) {
        if (span_equal_nocase(origin, span_of(config->allowed_origins.items[i])))
            return true;
    }
    return false;
}

bool cors_is_preflight(const struct http_request *request)
{
    return span_equal(request->method, SPAN("OPTIONS")) && http_request_header(request, "origin").ptr &&
           http_request_header(request, "access-control-request-method").ptr;
}

/* Is there a line of this name among whole header lines? */
static bool has_line(const struct bytes *lines, struct span name)
{
    const char *at = lines ? (const char *)lines->data : NULL;
    const char *end = lines ? at + lines->len : NULL;

    while (at < end) {
        size_t left = (size_t)(end - at);
        if (left > name.len && at[name.len] == ':' && strncasecmp(at, name.ptr, name.len) == 0)
            return true;
        const char *newline = memchr(at, '\n', left);
        at = newline ? newline + 1 : end;
    }
    return false;
}

struct span cors_headers(const struct config *config, const struct http_response *response)
{
    if (!config->cors || has_line(response->headers, SPAN("Access-Control-Allow-Origin")))
        return (struct span){NULL, 0};
    return SPAN("Access-Control-Allow-Origin: *\r\n");
}
