/* HTTP requests in pieces: the first byte of the input says how long the pieces are, the rest is what a
 * client sends. What is left over is given again, as the edge does. */
#include "http/parser.h"

#include "base/buf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds what is there; false when the connection is over. */
static bool feed(struct http_parser *parser, struct buf *input)
{
    for (;;) {
        size_t used = 0;
        enum http_parse result = http_parser_feed(parser, input->data, input->len, &used);
        if (used > input->len)
            abort();
        buf_consume(input, used);
        if (result == HTTP_MORE)
            return true;
        if (result == HTTP_REFUSED)
            return false;
        if (result == HTTP_COMPLETE) {
            struct http_request *request = http_parser_take(parser);
            bool upgrade = request->upgrade;
            http_request_free(request);
            if (upgrade)
                return false;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_limits limits = {.url = 256, .headers = 1024, .body = 4096};
    struct http_parser parser = {0};
    struct buf input = {0};

    if (size < 2 || http_parser_init(&parser, &limits) != 0)
        return 0;
    size_t piece = data[0] ? data[0] : size;
    for (size_t at = 1; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        if (buf_append(&input, data + at, len) != 0 || !feed(&parser, &input))
            break;
    }
    buf_fini(&input);
    http_parser_fini(&parser);
    return 0;
}
