/* HTTP requests in pieces: the first byte of the input says how long the pieces are, the rest is what a
 * client sends. What is left over is given again, as the edge does. Whatever the pieces, the same requests
 * must come out as when all is given at once. */
#include "http/parser.h"

#include "base/buf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void note(struct buf *out, const char *text, size_t len)
{
    if (buf_append(out, &len, sizeof len) != 0 || buf_append(out, text, len) != 0)
        abort();
}

static void note_span(struct buf *out, struct span span)
{
    note(out, span.ptr, span.len);
}

static void note_request(struct buf *out, const struct http_request *request)
{
    note_span(out, request->method);
    note_span(out, request->target);
    note_span(out, request->host);
    for (size_t i = 0; i < request->n_headers; i++) {
        note_span(out, request->headers[i].name);
        note_span(out, request->headers[i].value);
    }
    if (request->body)
        note(out, (const char *)request->body->data, request->body->len);
    const char flags[] = {(char)request->minor, request->keep_alive, request->upgrade};
    note(out, flags, sizeof flags);
}

/* Feeds what is there; false when the connection is over. */
static bool feed(struct http_parser *parser, struct buf *input, struct buf *out)
{
    for (;;) {
        size_t used = 0;
        enum http_parse result = http_parser_feed(parser, input->data, input->len, &used);
        if (used > input->len)
            abort();
        buf_consume(input, used);
        if (result == HTTP_MORE)
            return true;
        if (result == HTTP_REFUSED) {
            if (parser->status < 400 || parser->status > 599)
                abort();
            note(out, parser->text, strlen(parser->text));
            return false;
        }
        if (result == HTTP_COMPLETE) {
            struct http_request *request = http_parser_take(parser);
            bool upgrade = request->upgrade;
            if (request->body && request->body->len > parser->limits->body)
                abort();
            note_request(out, request);
            http_request_free(request);
            if (upgrade)
                return false;
        }
    }
}

static void run(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
    static const struct http_limits limits = {.url = 256, .headers = 1024, .body = 4096};
    struct http_parser parser = {0};
    struct buf input = {0};

    if (http_parser_init(&parser, &limits) != 0)
        abort();
    for (size_t at = 0; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        if (buf_append(&input, data + at, len) != 0 || !feed(&parser, &input, out))
            break;
    }
    buf_fini(&input);
    http_parser_fini(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf pieces = {0}, whole = {0};

    if (size < 2)
        return 0;
    run(data + 1, size - 1, data[0] ? data[0] : size, &pieces);
    run(data + 1, size - 1, size, &whole);
    if (pieces.len != whole.len || (whole.len > 0 && memcmp(pieces.data, whole.data, whole.len) != 0))
        abort();
    buf_fini(&pieces);
    buf_fini(&whole);
    return 0;
}
