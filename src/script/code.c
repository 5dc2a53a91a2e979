/* Compiling source files, and showing them in errors. Called while a project is opened, and for a module
 * at its first use. */
#include "script/code.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "script/bounded.h"
#include "script/quota.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_MAX ((size_t)1024 * 1024)      /* bytes of a file */
#define MEMORY_MAX ((size_t)32 * 1024 * 1024) /* bytes that compiling outside of a room may use */
#define TIME_MAX_MS 1000u                     /* of the CPU, for the same */
#define PIECE ((size_t)512)                   /* bytes of source between two looks at the time */
#define EXCERPT_BEFORE 2                      /* lines shown before and behind the one that is wrong */
#define EXCERPT_WIDTH 100                     /* bytes shown of a line */

/* ---- files ---- */

/* The whole file; a NUL follows it. 0 or a negative errno, -EFBIG for too much. */
static int read_file(const char *path, struct buf *out)
{
    struct stat info;
    int rc = 0;

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &info) != 0)
        rc = -errno;
    else if (!S_ISREG(info.st_mode))
        rc = S_ISDIR(info.st_mode) ? -EISDIR : -EINVAL;
    while (rc == 0) {
        rc = buf_reserve(out, 64 * 1024);
        if (rc != 0)
            break;
        ssize_t n = read(fd, out->data + out->len, out->cap - out->len - 1);
        if (n == 0)
            break;
        if (n > 0)
            out->len += (size_t)n;
        else if (errno != EINTR)
            rc = -errno;
        if (out->len > SOURCE_MAX)
            rc = -EFBIG;
    }
    close(fd);
    if (rc == 0)
        out->data[out->len] = '\0';
    return rc;
}

/* ---- compiling ---- */

static int add_bytecode(lua_State *L, const void *data, size_t len, void *out)
{
    (void)L;
    return buf_append(out, data, len);
}

/* Passes over a byte order mark and a first line that begins with "#!", so that lines keep their numbers. */
static struct span source_of(const struct buf *file)
{
    struct span source = {(const char *)file->data, file->len};

    if (source.len >= 3 && memcmp(source.ptr, "\xef\xbb\xbf", 3) == 0) {
        source.ptr += 3;
        source.len -= 3;
    }
    if (source.len > 0 && *source.ptr == '#') {
        const char *newline = memchr(source.ptr, '\n', source.len);
        size_t skipped = newline ? (size_t)(newline - source.ptr) : source.len;
        source.ptr += skipped;
        source.len -= skipped;
    }
    return source;
}

int code_error_line(const char *error, const char **message)
{
    /* "name:12: message"; the name may have colons itself */
    for (const char *at = strchr(error, ':'); at; at = strchr(at + 1, ':')) {
        char *end;
        if (!isdigit((unsigned char)at[1]))
            continue;
        long line = strtol(at + 1, &end, 10);
        if (*end == ':' && line > 0 && line < 1000000000) {
            *message = end + 1 + (end[1] == ' ');
            return (int)line;
        }
    }
    *message = error;
    return 0;
}

static void complain_of_syntax(const char *path, const char *name, const char *text, struct buf *error)
{
    const char *message;
    int line = code_error_line(text, &message);

    if (strstr(message, "attempt to load a binary chunk"))
        message = "this is bytecode; a script is Lua source";
    code_complain(error, path, name, line, "%s", message);
}

/* Source is given to Lua's compiler in pieces, between which it can be stopped: some of what it does for a token
 * takes time that grows with what came before. */
struct pieces {
    struct span rest;
    uint64_t until; /* ns of the thread's CPU time; 0: as long as the handler has (quota.h) */
};

static const char *next_piece(lua_State *L, void *user, size_t *len)
{
    struct pieces *pieces = user;
    const char *piece = pieces->rest.ptr;

    if (pieces->until == 0)
        quota_poll();
    else if (clock_thread_ns() > pieces->until)
        luaL_error(L, "takes more than %d ms to compile", (int)TIME_MAX_MS);
    *len = pieces->rest.len < PIECE ? pieces->rest.len : PIECE;
    pieces->rest.ptr += *len;
    pieces->rest.len -= *len;
    return piece;
}

int code_load_text(lua_State *L, struct span source, const char *chunk_name, const char *mode)
{
    struct pieces pieces = {.rest = source};
    return lua_load(L, next_piece, &pieces, chunk_name, mode);
}

/* The bytecode of a source, or an error. Leaves L's stack as it was. */
static int compile_on(lua_State *L, struct pieces source, const char *path, const char *name,
                      struct buf *bytecode, struct buf *error)
{
    size_t size = strlen(name) + 1;
    char *chunk_name = xcalloc(size + 1);

    chunk_name[0] = '@';
    memcpy(chunk_name + 1, name, size);
    int status = lua_load(L, next_piece, &source, chunk_name, "t");
    free(chunk_name);
    if (status == LUA_OK && lua_dump(L, add_bytecode, bytecode, 0) != 0)
        status = LUA_ERRMEM;
    if (status == LUA_ERRSYNTAX)
        complain_of_syntax(path, name, lua_tostring(L, -1), error);
    else if (status != LUA_OK)
        code_complain(error, path, name, 0, "%s",
                      status == LUA_ERRMEM ? "not enough memory to compile it" : lua_tostring(L, -1));
    lua_pop(L, 1);
    return status == LUA_OK ? 0 : -EINVAL;
}

/* On a state of its own, with bounds of its own. */
static int compile_alone(struct span source, const char *path, const char *name, struct buf *bytecode,
                         struct buf *error)
{
    struct bounded_memory memory = {.limit = MEMORY_MAX};
    struct pieces pieces = {.rest = source, .until = clock_thread_ns() + TIME_MAX_MS * NS_PER_MS};
    int rc = -ENOMEM;

    lua_State *L = lua_newstate(bounded_alloc, &memory);
    if (L) {
        rc = compile_on(L, pieces, path, name, bytecode, error);
        lua_close(L);
    } else {
        code_complain(error, path, name, 0, "not enough memory");
    }
    return rc;
}

static int count_lines(struct span source)
{
    int lines = 0;
    for (size_t i = 0; i < source.len; i++)
        lines += source.ptr[i] == '\n' || i + 1 == source.len;
    return lines > 0 ? lines : 1;
}

/* path: "" when there is no file. L: NULL for a state of its own. */
static struct code *make(lua_State *L, const char *path, const char *name, struct span source, int lines,
                         struct buf *error)
{
    struct buf bytecode = {0};
    struct code *code = NULL;

    int rc = L ? compile_on(L, (struct pieces){.rest = source}, path, name, &bytecode, error)
               : compile_alone(source, path, name, &bytecode, error);
    if (rc == 0) {
        code = xcalloc(sizeof *code);
        *code = (struct code){.refs = 1,
                              .lines = lines,
                              .name = xstrdup(name),
                              .path = xstrdup(path),
                              .bytecode = bytecode.data,
                              .len = bytecode.len};
        bytecode = (struct buf){0};
    }
    buf_fini(&bytecode);
    return code;
}

struct code *code_compile_on(lua_State *L, const char *path, const char *name, struct buf *error)
{
    struct buf file = {0};
    struct code *code = NULL;

    int rc = read_file(path, &file);
    if (rc == -EFBIG)
        code_complain(error, path, name, 0, "larger than %zu MiB, which a source file can have at most",
                      SOURCE_MAX >> 20);
    else if (rc != 0)
        code_complain(error, path, name, 0, "can't be read: %s", strerror(-rc));
    else
        code = make(L, path, name, source_of(&file),
                    count_lines((struct span){(const char *)file.data, file.len}), error);
    buf_fini(&file);
    return code;
}

struct code *code_compile(const char *path, const char *name, struct buf *error)
{
    return code_compile_on(NULL, path, name, error);
}

struct code *code_compile_text(struct span source, const char *name, struct buf *error)
{
    return make(NULL, "", name, source, count_lines(source), error);
}

struct code *code_ref(struct code *code)
{
    if (code)
        code->refs++;
    return code;
}

void code_unref(struct code *code)
{
    if (!code || --code->refs > 0)
        return;
    free(code->name);
    free(code->path);
    free(code->bytecode);
    free(code);
}

bool code_same(const struct code *code, const struct code *other)
{
    return other && strcmp(code->name, other->name) == 0 && code->len == other->len &&
           memcmp(code->bytecode, other->bytecode, code->len) == 0;
}

/* ---- showing source ---- */

/* One line of source, without what could move a terminal's cursor. */
static void show_line(struct buf *out, int number, bool marked, struct span line)
{
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    bool cut = line.len > EXCERPT_WIDTH;
    if (cut)
        line.len = utf8_cut(line.ptr, line.len, EXCERPT_WIDTH);
    (void)!buf_printf(out, "\n  %c %4d |%s", marked ? '>' : ' ', number, line.len > 0 ? " " : "");
    for (size_t i = 0; i < line.len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];
        (void)!buf_append(out, c < 0x20 || c == 0x7f ? " " : line.ptr + i, 1);
    }
    if (cut)
        (void)!buf_printf(out, "…");
}

void code_clean(struct buf *text, size_t from)
{
    for (size_t i = from; i < text->len; i++) {
        uint8_t c = text->data[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            text->data[i] = '?';
    }
}

void code_complain(struct buf *error, const char *path, const char *name, int line, const char *format, ...)
{
    va_list args;

    (void)!buf_printf(error, "%s%s:", error->len > 0 ? "\n\n" : "", name);
    if (line > 0)
        (void)!buf_printf(error, "%d:", line);
    (void)!buf_append(error, " ", 1);
    va_start(args, format);
    size_t from = error->len;
    (void)!buf_vprintf(error, format, args);
    va_end(args);
    code_clean(error, from);
    if (line > 0)
        code_excerpt(path, line, error);
}

struct paragraph {
    const char *text;
    int line;
};

static int by_line(const void *a, const void *b)
{
    const struct paragraph *one = a, *other = b;

    if (one->line != other->line)
        return one->line < other->line ? -1 : 1;
    return strcmp(one->text, other->text);
}

/* The next paragraph that begins as complaints of the file do; NULL: there is none. */
static char *next_complaint(char *text, const char *between, const char *name)
{
    size_t skip = strlen(between), len = strlen(name);

    for (char *at = strstr(text, between); at; at = strstr(at + 1, between)) {
        if (strncmp(at + skip, name, len) == 0 && at[skip + len] == ':')
            return at;
    }
    return NULL;
}

void code_sort_complaints(struct buf *error, size_t from, const char *name)
{
    static const char between[] =
        "\n\n"; /* of paragraphs; in front of the first if there are others before */
    const char *message;
    size_t n = 0;

    if (error->len <= from)
        return;
    from += from > 0 ? sizeof between - 1 : 0;
    char *copy = strndup((const char *)error->data + from, error->len - from);
    CHECK(copy != NULL);
    struct paragraph *paragraphs = xcalloc((strlen(copy) / 2 + 1) * sizeof *paragraphs);
    for (char *at = copy; at; n++) {
        char *end = next_complaint(at, between, name);
        if (end)
            *end = '\0';
        int line = code_error_line(at, &message);
        paragraphs[n] = (struct paragraph){at, line > 0 ? line : INT_MAX};
        at = end ? end + sizeof between - 1 : NULL;
    }
    qsort(paragraphs, n, sizeof *paragraphs, by_line);
    error->len = from;
    for (size_t i = 0; i < n; i++)
        (void)!buf_printf(error, "%s%s", i > 0 ? between : "", paragraphs[i].text);
    free(paragraphs);
    free(copy);
}

void code_excerpt(const char *path, int line, struct buf *out)
{
    struct buf file = {0};

    if (read_file(path, &file) == 0) {
        const char *at = (const char *)file.data, *end = at + file.len;
        if (line == count_lines((struct span){at, file.len}) + 1)
            line--; /* the end of the file, as the compiler counts */
        for (int number = 1; at < end && number <= line + EXCERPT_BEFORE; number++) {
            const char *newline = memchr(at, '\n', (size_t)(end - at));
            if (number >= line - EXCERPT_BEFORE)
                show_line(out, number, number == line,
                          (struct span){at, (size_t)((newline ? newline : end) - at)});
            at = newline ? newline + 1 : end;
        }
    }
    buf_fini(&file);
}

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

int code_line_of(const char *path, const char *word)
{
    struct buf file = {0};
    size_t len = strlen(word);
    int line = 0;

    if (len > 0 && read_file(path, &file) == 0 && file.data) {
        const char *text = (const char *)file.data, *found = text, *counted = text;
        while ((found = strstr(found, word)) &&
               ((found > text && in_word(found[-1]) && in_word(*word)) || in_word(found[len])))
            found += len;
        for (line = found != NULL; found && counted < found; counted++)
            line += *counted == '\n';
    }
    buf_fini(&file);
    return line;
}
