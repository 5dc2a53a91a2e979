/* The paths of static files: whatever a client sends, the file lies below the folder, has no hidden name but
 * the one that is allowed, and is a string. The rest of the input is an Accept. */
#include "edge/static_path.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_file(const struct buf *file)
{
    const char *name = (const char *)file->data;
    bool first = true;

    require(file->len > 1 && strlen(name) == file->len - 1 && utf8_valid(name, file->len - 1));
    for (;;) {
        size_t len = strcspn(name, "/");
        bool allowed = first && len == strlen(".well-known") && memcmp(name, ".well-known", len) == 0;
        require(len > 0 && (name[0] != '.' || allowed));
        for (size_t i = 0; i < len; i++)
            require((unsigned char)name[i] >= 0x20 && name[i] != 0x7f && name[i] != '\\');
        if (!name[len])
            break;
        name += len + 1;
        first = false;
    }
    (void)static_type((struct span){(const char *)file->data, file->len - 1});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
    size_t len = newline ? (size_t)(newline - data) : size;
    struct span path = {(const char *)data, len};
    struct http_header accept = {SPAN("Accept"), {(const char *)data + len, size - len}};
    struct http_request request = {.method = SPAN("GET"), .path = path, .n_headers = 1, .headers = &accept};
    struct buf file = {0};

    int rc = static_path(path, &file);
    if (rc == 0)
        check_file(&file);
    else
        require(rc == -ENOENT && file.len == 0);
    (void)static_wants_page(&request);
    buf_fini(&file);
    return 0;
}
