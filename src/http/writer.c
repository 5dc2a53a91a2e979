/* See writer.h. Called once for each response, so nothing here formats by printf, and the Date
 * is made once a second. Never checks what the response says: who made it has. */
#include "http/writer.h"

#include "http/date.h"
#include "http/field.h"

#include <errno.h>
#include <time.h>

#define STATUS_LINE SPAN("HTTP/1.1 200 ")
#define CONTENT_TYPE SPAN("Content-Type: text/plain;charset=UTF-8\r\n")
#define CONTENT_LENGTH SPAN("Content-Length: ")
#define CHUNKED SPAN("Transfer-Encoding: chunked\r\n")
#define CONNECTION_CLOSE SPAN("Connection: close\r\n")
#define CONNECTION_KEEP_ALIVE SPAN("Connection: keep-alive\r\n")
#define CRLF SPAN("\r\n")

#define DIGITS_MAX 20u /* of a uint64_t */

static char *put(char *to, struct span text)
{
    if (text.len)
        memcpy(to, text.ptr, text.len);
    return to + text.len;
}

static char *put_bytes(char *to, const struct bytes *bytes)
{
    return bytes ? put(to, (struct span){(const char *)bytes->data, bytes->len}) : to;
}

static char *put_number(char *to, uint64_t number)
{
    char digits[DIGITS_MAX];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return put(to, (struct span){digits + at, sizeof digits - at});
}

static char *put_two(char *to, int number)
{
    *to++ = (char)('0' + number / 10 % 10);
    *to++ = (char)('0' + number % 10);
    return to;
}

/* The line "Date: …" for now (RFC 9110 §5.6.7, IMF-fixdate), which stays this thread's until
 * the next call. time() is the cheapest clock there is, and a second is all that is shown. */
static struct span date_line(void)
{
    static _Thread_local char line[] = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    static _Thread_local time_t made;
    time_t now = time(NULL);
    if (now != made) {
        http_date_write(now, line + 6);
        made = now;
    }
    return (struct span){line, sizeof line - 1};
}

struct bytes *http_write_body(const struct http_response *response, const struct http_write_options *options)
{
    bool none = !response->body || response->body->len == 0 || options->head_only;
    return none || http_status_bodyless(response->status) ? NULL : response->body;
}

struct http_source *http_write_source(const struct http_response *response,
                                      const struct http_write_options *options)
{
    bool none = !response->source || response->source->length == 0 || options->head_only;
    return none || http_status_bodyless(response->status) ? NULL : response->source;
}

int http_write_head(struct buf *out, const struct http_response *response,
                    const struct http_write_options *options)
{
    struct span reason = span_of(response->reason ? NULL : http_reason(response->status));
    struct span date = date_line();
    bool bodyless = http_status_bodyless(response->status);
    bool unknown = !bodyless && response->source && response->source->length == HTTP_LENGTH_UNKNOWN;
    uint64_t body = bodyless           ? 0
                    : response->source ? response->source->length
                    : response->body   ? response->body->len
                                       : 0;
    size_t most = STATUS_LINE.len + (response->reason ? response->reason->len : reason.len) + CRLF.len +
                  date.len + (response->headers ? response->headers->len : 0) + options->extra.len +
                  CONTENT_TYPE.len + CHUNKED.len + CONTENT_LENGTH.len + DIGITS_MAX + CRLF.len +
                  CONNECTION_KEEP_ALIVE.len + CRLF.len;
    if (buf_reserve(out, most))
        return -ENOMEM;

    char *begin = (char *)out->data + out->len;
    char *to = put(begin, STATUS_LINE);
    to[-4] = (char)('0' + response->status / 100 % 10);
    put_two(to - 3, response->status % 100);
    to = put_bytes(put(to, reason), response->reason);
    to = put(put(to, CRLF), date);
    to = put_bytes(to, response->headers);
    to = put(to, options->extra);
    if (body && !response->has_type)
        to = put(to, CONTENT_TYPE);
    if (unknown)
        to = put(to, options->chunked ? CHUNKED : SPAN(""));
    else if (!bodyless || response->status == 205) /* 205 has to say that it is empty (RFC 9110 §15.3.6) */
        to = put(put_number(put(to, CONTENT_LENGTH), body), CRLF);
    if (options->close)
        to = put(to, CONNECTION_CLOSE);
    else if (options->keep_alive)
        to = put(to, CONNECTION_KEEP_ALIVE);
    to = put(to, CRLF);
    out->len += (size_t)(to - begin);
    return 0;
}

size_t http_chunk_head(char out[HTTP_CHUNK_HEAD_MAX], size_t len)
{
    static const char digits[] = "0123456789abcdef";
    unsigned n = 1;

    while (n < 2 * sizeof len && len >> (4 * n) != 0)
        n++;
    for (unsigned i = 0; i < n; i++)
        out[i] = digits[len >> (4 * (n - 1 - i)) & 15];
    out[n] = '\r';
    out[n + 1] = '\n';
    return n + 2;
}
