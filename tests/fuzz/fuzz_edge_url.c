/* Any text as a path, a query, a room id, a list: what is taken apart lies inside of it, and what is let through
 * is what a room's name may be. */
#include "edge/router.h"

#include "base/utf8.h"
#include "http/field.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

static bool inside(struct span outer, struct span inner)
{
    return inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len;
}

static void path(struct span text)
{
    struct route route;
    enum route_kind kind = route_path(text, &route);
    struct span id = {(const char *)route.room.data, route.room.len};

    if (kind == ROUTE_WRONG)
        must(route.reason != NULL);
    if (kind == ROUTE_ROOM) {
        must(!room_id_problem(id) && id.len >= 1 && id.len <= ROOM_ID_MAX && utf8_valid(id.ptr, id.len));
        must(!memchr(id.ptr, '/', id.len) && !memchr(id.ptr, '\0', id.len));
        must(route.party.len > 0 && (inside(text, route.party) || span_equal(route.party, SPAN("main"))));
        must(route.subpath.len > 0 && route.subpath.ptr[0] == '/');
        must(inside(text, route.subpath) || span_equal(route.subpath, SPAN("/")));
    }
    route_fini(&route);
}

static void query(struct span text)
{
    struct span rest = text;
    struct buf name = {0}, value = {0};
    int rc;

    for (size_t n = 0; (rc = http_query_next(&rest, &name, &value)) > 0; n++)
        must(n <= text.len && name.len + value.len <= text.len && (rest.len == 0 || inside(text, rest)));
    must(rc == 0);
    buf_fini(&name);
    buf_fini(&value);
}

static void list(struct span text)
{
    struct span rest = text, element;

    for (size_t n = 0; http_list_next(&rest, &element); n++)
        must(n <= text.len && inside(text, element) && !memchr(element.ptr, ',', element.len));
}

static void escapes(struct span text)
{
    struct buf decoded = {0}, encoded = {0}, again = {0};
    int rc = http_percent_decode(text, false, &decoded);

    must(rc == 0 || (rc == -EINVAL && decoded.len == 0 && memchr(text.ptr, '%', text.len)));
    must(decoded.len <= text.len);
    for (size_t i = 0; i < text.len; i++)
        must(buf_printf(&encoded, "%%%02x", (unsigned char)text.ptr[i]) == 0);
    must(http_percent_decode((struct span){(const char *)encoded.data, encoded.len}, true, &again) == 0);
    must(again.len == text.len && (text.len == 0 || memcmp(again.data, text.ptr, text.len) == 0));
    buf_fini(&decoded);
    buf_fini(&encoded);
    buf_fini(&again);
}

/* The id of a room, percent-encoded byte by byte, is the same room. */
static void room_id(struct span text)
{
    struct buf url = {0};
    struct route route;
    const char *problem = room_id_problem(text);

    must(buf_printf(&url, "/parties/main/") == 0);
    for (size_t i = 0; i < text.len; i++)
        must(buf_printf(&url, "%%%02X", (unsigned char)text.ptr[i]) == 0);
    must(buf_printf(&url, "/sub") == 0);
    enum route_kind kind = route_path((struct span){(const char *)url.data, url.len}, &route);
    must(kind == (text.len == 0 ? ROUTE_NONE : problem ? ROUTE_WRONG : ROUTE_ROOM));
    if (kind == ROUTE_ROOM)
        must(span_equal((struct span){(const char *)route.room.data, route.room.len}, text));
    route_fini(&route);
    buf_fini(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};

    if (size == 0)
        return 0;
    path(text);
    query(text);
    list(text);
    escapes(text);
    room_id(text);
    (void)http_is_host(text);
    (void)http_is_method(text);
    return 0;
}
