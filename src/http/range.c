#include "http/range.h"

#include "http/field.h"

/* Digits at the front of text; those that are too many for 64 bits saturate. False when there are none. */
static bool take_number(struct span *text, uint64_t *number)
{
    size_t at = 0;

    *number = 0;
    for (; at < text->len && text->ptr[at] >= '0' && text->ptr[at] <= '9'; at++) {
        uint64_t digit = (uint64_t)(text->ptr[at] - '0');
        *number = *number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : *number * 10 + digit;
    }
    text->ptr += at;
    text->len -= at;
    return at > 0;
}

/* The last `suffix` bytes. */
static enum http_range suffix_range(uint64_t suffix, uint64_t size, uint64_t *first, uint64_t *len)
{
    if (suffix == 0)
        return HTTP_RANGE_NONE;
    if (size == 0)
        return HTTP_RANGE_ALL; /* it is satisfiable, but a Content-Range can't say so */
    *len = suffix < size ? suffix : size;
    *first = size - *len;
    return HTTP_RANGE_PART;
}

/* One range-spec: "first-", "first-last" or "-suffix". */
static enum http_range one_range(struct span spec, uint64_t size, uint64_t *first, uint64_t *len)
{
    uint64_t from, to;
    bool has_from = take_number(&spec, &from);

    if (spec.len == 0 || spec.ptr[0] != '-')
        return HTTP_RANGE_ALL;
    spec.ptr++;
    spec.len--;
    bool has_to = take_number(&spec, &to);
    if (spec.len > 0 || (!has_from && !has_to) || (has_from && has_to && to < from))
        return HTTP_RANGE_ALL;
    if (!has_from)
        return suffix_range(to, size, first, len);
    if (from >= size)
        return HTTP_RANGE_NONE;
    *first = from;
    *len = (has_to && to < size ? to + 1 : size) - from;
    return HTTP_RANGE_PART;
}

/* The only field of this name; ptr NULL when there is none, or more than one. */
static struct span only_header(const struct http_request *request, struct span name)
{
    struct span found = {NULL, 0};

    for (size_t i = 0; i < request->n_headers; i++) {
        if (!span_equal_nocase(request->headers[i].name, name))
            continue;
        if (found.ptr)
            return (struct span){NULL, 0};
        found = request->headers[i].value;
    }
    return found;
}

enum http_range http_range_of(const struct http_request *request, uint64_t size, uint64_t *first,
                              uint64_t *len)
{
    static const char unit[] = "bytes=";
    const size_t unit_len = sizeof unit - 1;
    struct span value = only_header(request, SPAN("Range"));
    struct span spec = {NULL, 0}, element;

    if (!span_equal(request->method, SPAN("GET")) || value.len < unit_len ||
        strncasecmp(value.ptr, unit, unit_len) != 0)
        return HTTP_RANGE_ALL;
    value.ptr += unit_len;
    value.len -= unit_len;
    while (http_list_next(&value, &element)) {
        if (element.len == 0)
            continue;
        if (spec.len > 0)
            return HTTP_RANGE_ALL; /* several */
        spec = element;
    }
    return one_range(spec, size, first, len);
}
