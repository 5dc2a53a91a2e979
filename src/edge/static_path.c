/* The path is decoded once, segment by segment, so that nothing decoded can separate segments. A file can't
 * have a path with
 *
 *   - an escape that is none, NUL or another control character, or bytes that are not UTF-8
 *   - a "/" or "\" in a segment
 *   - an empty segment, or one that begins with "." (".", "..", ".env", ".git"), but for .well-known
 *     as the first (RFC 8615)
 *
 * so nothing that is left leads anywhere but down. Links are static_file.c's to judge. */
#include "edge/static_path.h"

#include "base/utf8.h"
#include "http/accept.h"
#include "http/field.h"

#include <errno.h>

#define INDEX "index.html"

static bool segment_valid(struct span segment, bool first)
{
    if (memchr(segment.ptr, '/', segment.len) || memchr(segment.ptr, '\\', segment.len))
        return false;
    if (segment.ptr[0] == '.' && !(first && span_equal(segment, SPAN(".well-known"))))
        return false;
    return utf8_valid(segment.ptr, segment.len) && !utf8_has_control(segment.ptr, segment.len);
}

/* Decodes what stands before the next "/" of rest at the end of out. 0, or a negative code as above. */
static int add_segment(struct span *rest, bool first, struct buf *out)
{
    const char *slash = memchr(rest->ptr, '/', rest->len);
    struct span raw = {rest->ptr, slash ? (size_t)(slash - rest->ptr) : rest->len};
    size_t begin = out->len;

    int rc = http_percent_decode(raw, false, out);
    if (rc)
        return rc == -ENOMEM ? rc : -ENOENT;
    if (out->len == begin)
        return -ENOENT; /* empty */
    struct span segment = {(const char *)out->data + begin, out->len - begin};
    if (!segment_valid(segment, first))
        return -ENOENT;
    rest->ptr += raw.len;
    rest->len -= raw.len;
    return 0;
}

static int add_segments(struct span path, struct buf *out)
{
    struct span rest = path;

    if (rest.len == 0 || rest.ptr[0] != '/')
        return -ENOENT;
    while (rest.len > 1) { /* at a "/", and something follows */
        bool first = rest.ptr == path.ptr;
        rest.ptr++;
        rest.len--;
        if (!first && buf_append(out, "/", 1) != 0)
            return -ENOMEM;
        int rc = add_segment(&rest, first, out);
        if (rc)
            return rc;
    }
    if (rest.len == 0) /* no "/" at the end */
        return 0;
    bool root = path.len == 1;
    if (buf_append(out, "/" INDEX, sizeof "/" INDEX - 1) != 0)
        return -ENOMEM;
    if (root)
        buf_consume(out, 1);
    return 0;
}

int static_path(struct span path, struct buf *out)
{
    struct buf file = {0};

    int rc = add_segments(path, &file);
    if (rc == 0 && (buf_append(&file, "", 1) != 0 || buf_append(out, file.data, file.len) != 0))
        rc = -ENOMEM;
    buf_fini(&file);
    return rc;
}

/* What follows the last "." of the last segment; ptr NULL when nothing does. */
static struct span extension(struct span name)
{
    for (size_t i = name.len; i > 0 && name.ptr[i - 1] != '/'; i--) {
        if (name.ptr[i - 1] == '.')
            return (struct span){name.ptr + i, name.len - i};
    }
    return (struct span){NULL, 0};
}

const char *static_type(struct span name)
{
    static const struct {
        const char *extension, *type;
    } types[] = {
        {"html", "text/html; charset=utf-8"},
        {"js", "text/javascript; charset=utf-8"},
        {"css", "text/css; charset=utf-8"},
        {"json", "application/json"},
        {"svg", "image/svg+xml"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"webp", "image/webp"},
        {"woff2", "font/woff2"},
        {"mjs", "text/javascript; charset=utf-8"},
        {"map", "application/json"},
        {"wasm", "application/wasm"},
        {"ico", "image/vnd.microsoft.icon"},
        {"webmanifest", "application/manifest+json"},
        {"txt", "text/plain; charset=utf-8"},
        {"md", "text/markdown; charset=utf-8"},
        {"htm", "text/html; charset=utf-8"},
        {"xhtml", "application/xhtml+xml"},
        {"xml", "text/xml; charset=utf-8"},
        {"csv", "text/csv; charset=utf-8"},
        {"ics", "text/calendar; charset=utf-8"},
        {"vtt", "text/vtt; charset=utf-8"},
        {"lua", "text/plain; charset=utf-8"},
        {"jsonld", "application/ld+json"},
        {"geojson", "application/geo+json"},
        {"gltf", "model/gltf+json"},
        {"glb", "model/gltf-binary"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"avif", "image/avif"},
        {"apng", "image/apng"},
        {"bmp", "image/bmp"},
        {"woff", "font/woff"},
        {"ttf", "font/ttf"},
        {"otf", "font/otf"},
        {"mp3", "audio/mpeg"},
        {"m4a", "audio/mp4"},
        {"aac", "audio/aac"},
        {"ogg", "audio/ogg"},
        {"oga", "audio/ogg"},
        {"opus", "audio/ogg"},
        {"wav", "audio/wav"},
        {"flac", "audio/flac"},
        {"weba", "audio/webm"},
        {"mp4", "video/mp4"},
        {"m4v", "video/mp4"},
        {"webm", "video/webm"},
        {"ogv", "video/ogg"},
        {"mov", "video/quicktime"},
        {"pdf", "application/pdf"},
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
        {"tar", "application/x-tar"},
    };
    struct span wanted = extension(name);

    for (size_t i = 0; wanted.len > 0 && i < sizeof types / sizeof *types; i++) {
        if (span_equal_nocase(wanted, span_of(types[i].extension)))
            return types[i].type;
    }
    return "application/octet-stream";
}

bool static_wants_page(const struct http_request *request)
{
    bool reads = span_equal(request->method, SPAN("GET")) || span_equal(request->method, SPAN("HEAD"));

    return reads && !extension(request->path).ptr && http_accept_weight(request, "text/html") > 0;
}
