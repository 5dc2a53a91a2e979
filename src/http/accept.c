#include "http/accept.h"

#include "http/field.h"

/* Thousandths (RFC 9110 §12.4.2) of the parameters of an element; 1000 without a q. */
static int quality_of(struct span parameters)
{
    const char *end = parameters.ptr + parameters.len;

    for (const char *at = parameters.ptr; (at = memchr(at, ';', (size_t)(end - at))); at++) {
        struct span rest = span_trim((struct span){at + 1, (size_t)(end - at - 1)});
        int value = 0, scale = 1000;
        if (rest.len < 3 || (rest.ptr[0] | 0x20) != 'q' || rest.ptr[1] != '=')
            continue;
        for (size_t i = 2; i < rest.len && scale > 0; i++) {
            if (rest.ptr[i] == '.')
                continue;
            if (rest.ptr[i] < '0' || rest.ptr[i] > '9')
                break;
            value += (rest.ptr[i] - '0') * scale;
            scale /= 10;
        }
        return value;
    }
    return 1000;
}

int http_accept_weight(const struct http_request *request, const char *type)
{
    struct span wanted = span_of(type);
    int weight = 0;

    for (size_t i = 0; i < request->n_headers; i++) {
        struct span rest = request->headers[i].value, element;
        if (!span_equal_nocase(request->headers[i].name, SPAN("Accept")))
            continue;
        while (http_list_next(&rest, &element)) {
            const char *semicolon = memchr(element.ptr, ';', element.len);
            size_t len = semicolon ? (size_t)(semicolon - element.ptr) : element.len;
            if (span_equal_nocase(span_trim((struct span){element.ptr, len}), wanted))
                weight = quality_of((struct span){element.ptr + len, element.len - len});
        }
    }
    return weight;
}
