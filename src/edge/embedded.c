#include "edge/embedded.h"

#include "base/buf.h"
#include "base/siphash.h"
#include "edge/client_files.h"
#include "edge/static_path.h"
#include "http/precondition.h"

#include <inttypes.h>
#include <stdio.h>

#define FOLDER "_festa"

/* Of all answers. They are the same for everybody, so that pages of any origin may have them: one that is
 * served from elsewhere (a development server) imports the client from here. */
#define HEADERS                                                                                              \
    "Cache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nAccess-Control-Allow-Origin: *\r\n"

bool embedded_owns(struct span path)
{
    size_t len = sizeof FOLDER - 1;
    return path.len >= len && memcmp(path.ptr, FOLDER, len) == 0 && (path.len == len || path.ptr[len] == '/');
}

static const struct client_file *find(struct span path)
{
    for (const struct client_file *file = client_files; file->name; file++) {
        struct span name = span_of(file->name);
        if (path.len == sizeof FOLDER + name.len && memcmp(path.ptr + sizeof FOLDER, name.ptr, name.len) == 0)
            return file;
    }
    return NULL;
}

/* Same bytes, same tag, whichever program sends them: behind a proxy there may be several. */
static void tag_of(const struct client_file *file, char text[24])
{
    static const uint8_t key[16] = {0};
    struct siphash hash;

    siphash_init(&hash, key);
    siphash_update(&hash, file->data, file->size);
    snprintf(text, 24, "\"%016" PRIx64 "\"", siphash_finish(&hash));
}

/* 0: the file is wanted. It has no date, so what asks for one is not understood (RFC 9110 §13.1.3). */
static int precondition(const struct http_request *request, const char *etag)
{
    struct http_validators validators = {.etag = span_of(etag), .strong = true};

    if (!http_request_header(request, "if-match").ptr && !http_request_header(request, "if-none-match").ptr)
        return 0;
    return http_precondition(request, &validators);
}

static struct http_response *with_headers(struct http_response *response, const char *headers)
{
    if (response && !(response->headers = bytes_copy(headers, strlen(headers)))) {
        http_response_free(response);
        return NULL;
    }
    return response;
}

struct http_response *embedded_response(const struct http_request *request, struct span path)
{
    const struct client_file *file = find(path);
    char etag[24], headers[320];

    if (!file)
        return with_headers(http_response_text(404, "Not found"), HEADERS);
    if (!span_equal(request->method, SPAN("GET")) && !span_equal(request->method, SPAN("HEAD")))
        return with_headers(http_response_text(405, "Method not allowed"), HEADERS "Allow: GET, HEAD\r\n");

    tag_of(file, etag);
    int status = precondition(request, etag);
    if (status == 412)
        return with_headers(http_response_text(412, "The file is another one by now"), HEADERS);
    snprintf(headers, sizeof headers, HEADERS "ETag: %s\r\n", etag);
    if (status == 304)
        return with_headers(http_response_new(304), headers);

    snprintf(headers, sizeof headers, HEADERS "ETag: %s\r\nContent-Type: %s\r\n", etag,
             static_type(span_of(file->name)));
    struct http_response *response = http_response_new(200);
    if (response && !(response->body = bytes_copy(file->data, file->size))) {
        http_response_free(response);
        return NULL;
    }
    if (response)
        response->has_type = true;
    return with_headers(response, headers);
}
