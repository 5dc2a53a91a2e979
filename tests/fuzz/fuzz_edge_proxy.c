/* Any text in the headers of proxies, and as an address or range. A line of the input is a header: its first
 * byte says which. Whatever stands in front of what the proxy wrote, it is that which counts. */
#include "edge/proxy.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEADERS_MAX 32u

static const struct span names[] = {{"X-Forwarded-For", 15},
                                    {"Forwarded", 9},
                                    {"X-Forwarded-Proto", 17},
                                    {"x-forwarded-for", 15}};

static void must(bool condition)
{
    if (!condition)
        abort();
}

static struct http_request request_with(struct http_header *headers, size_t n)
{
    return (struct http_request){.remote = "127.0.0.1", .headers = headers, .n_headers = n};
}

/* Lines as they are. */
static void any(const struct config *config, struct span text)
{
    struct http_header headers[HEADERS_MAX];
    struct address address;
    size_t n = 0;

    while (text.len > 0 && n < HEADERS_MAX) {
        const char *newline = memchr(text.ptr, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.ptr) : text.len;
        if (len > 0) {
            unsigned which = (unsigned char)text.ptr[0] % (sizeof names / sizeof *names);
            headers[n++] =
                (struct http_header){names[which], span_trim((struct span){text.ptr + 1, len - 1})};
        }
        len += newline != NULL;
        text.ptr += len;
        text.len -= len;
    }
    struct http_request request = request_with(headers, n);
    proxy_apply(config, &request);
    must(address_parse(span_of(request.remote), &address));
    request = request_with(headers, n);
    strcpy(request.remote, "203.0.113.1"); /* not trusted */
    proxy_apply(config, &request);
    must(strcmp(request.remote, "203.0.113.1") == 0 && !request.secure);
}

/* The client's text with what the proxy appends to it. */
static void appended(const struct config *config, struct span text, struct span name, const char *more)
{
    size_t size = text.len + strlen(more) + 1;
    char *value = malloc(size);
    must(value != NULL);
    memcpy(value, text.ptr, text.len);
    memcpy(value + text.len, more, strlen(more) + 1);
    struct http_header header = {name, span_trim((struct span){value, size - 1})};
    struct http_request request = request_with(&header, 1);

    proxy_apply(config, &request);
    must(strcmp(request.remote, "203.0.113.9") == 0);
    must(request.secure == (strstr(more, "proto=https") != NULL));
    free(value);
}

static void range(struct span text)
{
    struct address_range range;
    struct address address;
    char out[ADDRESS_TEXT_MAX];

    if (address_range_parse(text, &range))
        must(range.bits <= 128 && address_in_range(&range.first, &range));
    if (address_parse(text, &address)) {
        struct address again;
        address_format(&address, out);
        must(address_parse(span_of(out), &again) && memcmp(&again, &address, sizeof again) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct config config;

    if (size == 0)
        return 0;
    config_init(&config);
    must(config_trust(&config, "loopback") && config_trust(&config, "10.0.0.0/8"));
    any(&config, text);
    appended(&config, text, names[0], ", 203.0.113.9");
    appended(&config, text, names[0], ",[::ffff:203.0.113.9]:80, 10.0.0.1");
    appended(&config, text, names[1], ", for=203.0.113.9;proto=https");
    appended(&config, text, names[1], ", for=\"203.0.113.9\", for=10.0.0.1;proto=http, for=\"127.0.0.1\"");
    range(text);
    config_fini(&config);
    return 0;
}
