#include "http/precondition.h"

#include "http/date.h"

#define WEAK "W/"
#define WEAK_LEN (sizeof WEAK - 1)

static bool is_weak(struct span tag)
{
    return tag.len > WEAK_LEN && memcmp(tag.ptr, WEAK, WEAK_LEN) == 0;
}

/* The tag without the mark of a weak one. */
static struct span opaque(struct span tag)
{
    size_t skip = is_weak(tag) ? WEAK_LEN : 0;
    return (struct span){tag.ptr + skip, tag.len - skip};
}

/* Takes the next entity-tag of a list; false at its end, and where it is malformed. Commas may stand inside
 * of the quotes. */
static bool next_tag(struct span *rest, struct span *tag)
{
    while (rest->len > 0 && strchr(", \t", rest->ptr[0])) {
        rest->ptr++;
        rest->len--;
    }
    size_t quote = is_weak(*rest) ? WEAK_LEN : 0;
    if (rest->len <= quote || rest->ptr[quote] != '"')
        return false;
    const char *end = memchr(rest->ptr + quote + 1, '"', rest->len - quote - 1);
    if (!end)
        return false;
    *tag = (struct span){rest->ptr, (size_t)(end + 1 - rest->ptr)};
    rest->ptr += tag->len;
    rest->len -= tag->len;
    return true;
}

static bool same_tag(struct span a, struct span b, bool strong)
{
    if (strong && (is_weak(a) || is_weak(b)))
        return false;
    return span_equal(opaque(a), opaque(b));
}

/* Does one of the lines of this field name the tag, or "*"? *present: there is such a field. */
static bool names_tag(const struct http_request *request, struct span name, struct span etag, bool strong,
                      bool *present)
{
    *present = false;
    for (size_t i = 0; i < request->n_headers; i++) {
        if (!span_equal_nocase(request->headers[i].name, name))
            continue;
        *present = true;
        struct span rest = request->headers[i].value, tag;
        if (span_equal(rest, SPAN("*")))
            return true;
        while (next_tag(&rest, &tag))
            if (same_tag(tag, etag, strong))
                return true;
    }
    return false;
}

/* The date of a field; false when there is none. */
static bool date_of(const struct http_request *request, const char *name,
                    const struct http_validators *validators, int64_t *date)
{
    return http_date_read(http_request_header(request, name), validators->now, date);
}

int http_precondition(const struct http_request *request, const struct http_validators *validators)
{
    bool present;
    int64_t date;

    bool match = names_tag(request, SPAN("If-Match"), validators->etag, true, &present);
    if (present && !match)
        return 412;
    if (!present && date_of(request, "if-unmodified-since", validators, &date) && validators->modified > date)
        return 412;
    match = names_tag(request, SPAN("If-None-Match"), validators->etag, false, &present);
    if (present)
        return match ? 304 : 0;
    if (date_of(request, "if-modified-since", validators, &date) && validators->modified <= date)
        return 304;
    return 0;
}

bool http_if_range(const struct http_request *request, const struct http_validators *validators)
{
    struct span value = http_request_header(request, "if-range"), rest = value, tag;
    int64_t date;

    if (!value.ptr)
        return true;
    if (next_tag(&rest, &tag))
        return rest.len == 0 && same_tag(tag, validators->etag, true);
    return date_of(request, "if-range", validators, &date) && validators->strong &&
           date == validators->modified;
}
