/* See lint.h. What stands here and not in llhttp 8.1, which accepts or confuses it: LF alone at
 * the end of lines, CR alone, folded lines, blanks before the colon, empty names of fields,
 * bytes over 127 in the target, methods of other protocols, versions other than 1.0 and 1.1,
 * Host that is missing, repeated or no host, forms of the target that do not fit the method,
 * repeated or listed lengths, codings other than "chunked", all limits. */
#include "http/lint.h"

#include "base/check.h"
#include "http/field.h"

#define METHOD_MAX 32u  /* longer ones are none of ours (RFC 9110 §9.1: 501) */
#define FIELDS_MAX 100u /* lines */
#define VERSION_LEN 10u /* "HTTP/1.1\r\n" */

enum part { PART_METHOD, PART_TARGET, PART_VERSION, PART_NAME, PART_VALUE, PART_DONE };

static enum http_parse refuse(struct http_lint *lint, int status, const char *text)
{
    lint->status = status;
    lint->text = text;
    return HTTP_REFUSED;
}

static struct span after_prefix(struct span text, struct span prefix)
{
    if (text.len < prefix.len || strncasecmp(text.ptr, prefix.ptr, prefix.len) != 0)
        return (struct span){NULL, 0};
    return (struct span){text.ptr + prefix.len, text.len - prefix.len};
}

/* ---- request line (RFC 9112 §3) ---- */

/* absolute-form (§3.2.2): http or https, an authority without user (RFC 9110 §4.2.4) that is
 * not empty (§4.2.1), and maybe a path and a query. */
static enum http_parse judge_absolute(struct http_lint *lint, const char *data, struct span target)
{
    struct span rest = after_prefix(target, SPAN("http://"));
    if (!rest.ptr)
        rest = after_prefix(target, SPAN("https://"));
    if (!rest.ptr)
        return refuse(lint, 400, "The request's URL is neither a path nor an http URL");
    struct span host = {rest.ptr, 0};
    while (host.len < rest.len && host.ptr[host.len] != '/' && host.ptr[host.len] != '?')
        host.len++;
    if (host.len == 0 || host.ptr[0] == ':' || !http_is_host(host))
        return refuse(lint, 400, "The host in the request's URL is not valid");
    lint->absolute = true;
    lint->host_at = (size_t)(host.ptr - data);
    lint->host_len = host.len;
    lint->path_at = lint->host_at + host.len;
    return HTTP_MORE;
}

static enum http_parse judge_request_line(struct http_lint *lint, const char *data, const char *version)
{
    struct span method = {data, lint->method_len};
    struct span target = {data + lint->target_at, lint->target_len};
    if (version[5] != '1' || version[7] > '1')
        return refuse(lint, 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here");
    lint->minor = (uint8_t)(version[7] - '0');
    if (!http_is_method(method))
        return refuse(lint, 501, "Method not implemented");
    lint->path_at = lint->target_at;
    if (target.ptr[0] == '/')
        return HTTP_MORE;
    if (span_equal(target, SPAN("*"))) /* §3.2.4 */
        return span_equal(method, SPAN("OPTIONS")) ? HTTP_MORE
                                                   : refuse(lint, 400, "\"*\" is for OPTIONS alone");
    return judge_absolute(lint, data, target);
}

static enum http_parse read_method(struct http_lint *lint, const char *data, size_t len)
{
    lint->at += http_token_run(data + lint->at, len - lint->at);
    if (lint->at > METHOD_MAX)
        return refuse(lint, 501, "Method not implemented");
    if (lint->at == len)
        return HTTP_MORE;
    if (data[lint->at] != ' ' || lint->at == 0)
        return refuse(lint, 400, "Malformed request line");
    lint->method_len = lint->at++;
    lint->target_at = lint->at;
    lint->part = PART_TARGET;
    return HTTP_MORE;
}

static enum http_parse read_target(struct http_lint *lint, const struct http_limits *limits, const char *data,
                                   size_t len)
{
    lint->at += http_target_run(data + lint->at, len - lint->at);
    lint->target_len = lint->at - lint->target_at;
    if (lint->target_len > limits->url)
        return refuse(lint, 414, "The request's URL is too long");
    if (lint->at == len)
        return HTTP_MORE;
    if (data[lint->at] != ' ' || lint->target_len == 0)
        return refuse(lint, 400, "Malformed URL in the request line");
    lint->at++;
    lint->part = PART_VERSION;
    return HTTP_MORE;
}

static enum http_parse read_version(struct http_lint *lint, const char *data, size_t len)
{
    static const char pattern[] = "HTTP/0.0\r\n"; /* 0 stands for any digit */
    const char *version = data + lint->at;
    size_t have = len - lint->at;
    for (size_t i = 0; i < have && i < VERSION_LEN; i++) {
        bool fits = pattern[i] == '0' ? version[i] >= '0' && version[i] <= '9' : version[i] == pattern[i];
        if (!fits)
            return refuse(lint, 400, "Malformed request line");
    }
    if (have < VERSION_LEN)
        return HTTP_MORE;
    lint->at += VERSION_LEN;
    lint->fields_at = lint->start = lint->at;
    lint->part = PART_NAME;
    return judge_request_line(lint, data, version);
}

/* ---- field lines (RFC 9112 §5) ---- */

/* RFC 9112 §3.2: one at most, and it must be a host. */
static enum http_parse judge_host(struct http_lint *lint, const char *data, struct span value)
{
    if (lint->has_host)
        return refuse(lint, 400, "More than one Host");
    if (!http_is_host(value))
        return refuse(lint, 400, "Host is not valid");
    lint->has_host = true;
    if (!lint->absolute) {
        lint->host_at = (size_t)(value.ptr - data);
        lint->host_len = value.len;
    }
    return HTTP_MORE;
}

/* RFC 9110 §8.6; several, even if they are the same, are refused as §8.6 allows. */
static enum http_parse judge_content_length(struct http_lint *lint, struct span value)
{
    uint64_t length = 0;
    if (lint->has_length)
        return refuse(lint, 400, "More than one Content-Length");
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return refuse(lint, 400, "Content-Length is not a number");
        length = length * 10 + (uint64_t)(value.ptr[i] - '0');
        if (length > INT64_MAX)
            return refuse(lint, 400, "Content-Length is out of range");
    }
    if (value.len == 0)
        return refuse(lint, 400, "Content-Length is not a number");
    lint->has_length = true;
    lint->content_length = length;
    return HTTP_MORE;
}

/* RFC 9112 §6.1, §6.3: "chunked" must be there, once, as the last one, in HTTP/1.1 alone; other
 * codings before it are valid, and none is implemented. */
static enum http_parse judge_transfer_encoding(struct http_lint *lint, struct span value)
{
    if (lint->minor == 0)
        return refuse(lint, 400, "Transfer-Encoding in HTTP/1.0");
    if (lint->chunked)
        return refuse(lint, 400, "More than one Transfer-Encoding");
    if (span_equal_nocase(value, SPAN("chunked"))) {
        lint->chunked = true;
        return HTTP_MORE;
    }
    struct span rest = value, coding;
    bool final = false;
    while (http_list_next(&rest, &coding)) {
        const char *parameters = coding.len ? memchr(coding.ptr, ';', coding.len) : NULL;
        struct span name = coding;
        if (parameters)
            name = span_trim((struct span){coding.ptr, (size_t)(parameters - coding.ptr)});
        if (final || !http_is_token(name))
            return refuse(lint, 400, "Transfer-Encoding is not valid");
        final = !parameters && span_equal_nocase(name, SPAN("chunked"));
    }
    if (!final)
        return refuse(lint, 400, "Transfer-Encoding does not end with chunked");
    return refuse(lint, 501, "Transfer-Encoding other than chunked is not implemented");
}

/* RFC 9110 §7.6.1 */
static enum http_parse judge_connection(struct http_lint *lint, struct span value)
{
    struct span option;
    while (http_list_next(&value, &option)) {
        if (span_equal_nocase(option, SPAN("close")))
            lint->close = true;
        else if (span_equal_nocase(option, SPAN("keep-alive")))
            lint->persist = true;
        else if (span_equal_nocase(option, SPAN("upgrade")))
            lint->upgrade = true;
    }
    return HTTP_MORE;
}

/* RFC 9110 §7.8; protocols other than WebSocket are ignored, as a server may. */
static enum http_parse judge_upgrade(struct http_lint *lint, struct span value)
{
    struct span protocol;
    while (http_list_next(&value, &protocol))
        if (span_equal_nocase(protocol, SPAN("websocket")))
            lint->websocket = true;
    return HTTP_MORE;
}

/* RFC 9110 §10.1.1 */
static enum http_parse judge_expect(struct http_lint *lint, struct span value)
{
    if (lint->minor == 0)
        return HTTP_MORE;
    if (!span_equal_nocase(value, SPAN("100-continue")))
        return refuse(lint, 417, "Only 100-continue can be expected");
    lint->expect_continue = true;
    return HTTP_MORE;
}

/* A whole field line, valid as such. The length tells most names apart. */
static enum http_parse judge_field(struct http_lint *lint, const char *data, struct span name,
                                   struct span value)
{
    switch (name.len) {
    case 4: return span_equal_nocase(name, SPAN("Host")) ? judge_host(lint, data, value) : HTTP_MORE;
    case 6: return span_equal_nocase(name, SPAN("Expect")) ? judge_expect(lint, value) : HTTP_MORE;
    case 7: return span_equal_nocase(name, SPAN("Upgrade")) ? judge_upgrade(lint, value) : HTTP_MORE;
    case 10: return span_equal_nocase(name, SPAN("Connection")) ? judge_connection(lint, value) : HTTP_MORE;
    case 14:
        return span_equal_nocase(name, SPAN("Content-Length")) ? judge_content_length(lint, value)
                                                               : HTTP_MORE;
    case 17:
        return span_equal_nocase(name, SPAN("Transfer-Encoding")) ? judge_transfer_encoding(lint, value)
                                                                  : HTTP_MORE;
    default: return HTTP_MORE;
    }
}

/* What only the whole head can tell. */
static enum http_parse judge_head(struct http_lint *lint, const struct http_limits *limits)
{
    if (lint->minor > 0 && !lint->has_host)
        return refuse(lint, 400, "Host is missing");
    if (lint->chunked && lint->has_length)
        return refuse(lint, 400, "Both Content-Length and Transfer-Encoding");
    if (lint->content_length > limits->body)
        return refuse(lint, 413, "The request's body is too large");
    return HTTP_COMPLETE;
}

/* Do the field lines have more bytes than they may? */
static bool too_large(const struct http_lint *lint, const struct http_limits *limits)
{
    return lint->at - lint->fields_at > limits->headers;
}

static enum http_parse refuse_fields(struct http_lint *lint)
{
    return refuse(lint, 431, "The request's headers are too large");
}

/* Is it CR LF that comes next? Completes when the head ends with it, HTTP_MORE when it has come
 * in part only. */
static enum http_parse read_crlf(struct http_lint *lint, const char *data, size_t len)
{
    if (len - lint->at < 2)
        return HTTP_MORE;
    if (data[lint->at + 1] != '\n')
        return refuse(lint, 400, "CR without LF in the headers");
    lint->at += 2;
    return HTTP_COMPLETE;
}

/* A line's name and colon, or the empty line. */
static enum http_parse read_name(struct http_lint *lint, const struct http_limits *limits, const char *data,
                                 size_t len)
{
    if (lint->at == lint->start && lint->at < len && data[lint->at] == '\r') {
        enum http_parse end = read_crlf(lint, data, len);
        if (end != HTTP_COMPLETE)
            return end;
        lint->part = PART_DONE;
        return judge_head(lint, limits);
    }
    lint->at += http_token_run(data + lint->at, len - lint->at);
    if (too_large(lint, limits))
        return refuse_fields(lint);
    if (lint->at == len)
        return HTTP_MORE;
    if (data[lint->at] != ':' || lint->at == lint->start)
        return refuse(lint, 400, "Malformed header line");
    lint->name_len = lint->at++ - lint->start;
    lint->part = PART_VALUE;
    return HTTP_MORE;
}

static enum http_parse read_value(struct http_lint *lint, const struct http_limits *limits, const char *data,
                                  size_t len)
{
    lint->at += http_value_run(data + lint->at, len - lint->at);
    if (too_large(lint, limits))
        return refuse_fields(lint);
    if (lint->at == len)
        return HTTP_MORE;
    if (data[lint->at] != '\r')
        return refuse(lint, 400, "Malformed header line");
    size_t end = lint->at;
    enum http_parse crlf = read_crlf(lint, data, len);
    if (crlf != HTTP_COMPLETE)
        return crlf;
    if (too_large(lint, limits) || ++lint->n_fields > FIELDS_MAX)
        return refuse_fields(lint);
    struct span name = {data + lint->start, lint->name_len};
    struct span value = {name.ptr + name.len + 1, end - lint->start - name.len - 1};
    lint->start = lint->at;
    lint->part = PART_NAME;
    return judge_field(lint, data, name, span_trim(value));
}

enum http_parse http_lint_feed(struct http_lint *lint, const struct http_limits *limits, const char *data,
                               size_t len)
{
    CHECK(len >= lint->at);
    /* A part that is complete moves on to the next; one that stays needs more bytes. */
    for (;;) {
        enum http_parse result = HTTP_MORE;
        uint8_t part = lint->part;
        switch (part) {
        case PART_METHOD: result = read_method(lint, data, len); break;
        case PART_TARGET: result = read_target(lint, limits, data, len); break;
        case PART_VERSION: result = read_version(lint, data, len); break;
        case PART_NAME: result = read_name(lint, limits, data, len); break;
        case PART_VALUE: result = read_value(lint, limits, data, len); break;
        default: CHECK(false);
        }
        if (result != HTTP_MORE || lint->part == part)
            return result;
    }
}
