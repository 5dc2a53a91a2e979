#include "app/tap.h"

#include <stdlib.h>
#include <unistd.h>

#define GREEN "\x1b[32m"
#define RED "\x1b[31m"
#define YELLOW "\x1b[33m"
#define DIM "\x1b[2m"
#define PLAIN "\x1b[0m"

static const char *colour(const struct tap *tap, const char *code)
{
    return tap->colours ? code : "";
}

static bool wants_colours(FILE *out)
{
    const char *no = getenv("NO_COLOR"), *force = getenv("FORCE_COLOR");

    if (no && *no)
        return false;
    return (force && *force) || isatty(fileno(out));
}

void tap_begin(struct tap *tap, FILE *out)
{
    *tap = (struct tap){.out = out, .colours = wants_colours(out)};
    fputs("TAP version 14\n", out);
}

/* Text without what a terminal obeys. */
static void write_clean(const struct tap *tap, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        putc((c < 0x20 && c != '\t') || c == 0x7f ? '?' : c, tap->out);
    }
}

/* A name in a test's line: "#" would begin a directive. */
static void write_name(const struct tap *tap, const char *file, struct span name)
{
    fprintf(tap->out, "%s - %s: ", colour(tap, PLAIN), file);
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '#' || name.ptr[i] == '\\')
            putc('\\', tap->out);
        write_clean(tap, (struct span){name.ptr + i, 1});
    }
}

static void write_line(struct tap *tap, const char *result, const char *code, const char *file,
                       struct span name)
{
    fprintf(tap->out, "%s%s %u", colour(tap, code), result, ++tap->n);
    write_name(tap, file, name);
}

void tap_pass(struct tap *tap, const char *file, struct span name)
{
    write_line(tap, "ok", GREEN, file, name);
    putc('\n', tap->out);
    fflush(tap->out);
}

void tap_skip(struct tap *tap, const char *file, struct span name)
{
    tap->skipped++;
    write_line(tap, "ok", YELLOW, file, name);
    fputs(" # SKIP\n", tap->out);
    fflush(tap->out);
}

static bool next_line(struct span *rest, struct span *line)
{
    if (rest->len == 0)
        return false;
    const char *newline = memchr(rest->ptr, '\n', rest->len);
    line->ptr = rest->ptr;
    line->len = newline ? (size_t)(newline - rest->ptr) : rest->len;
    size_t used = line->len + (newline != NULL);
    rest->ptr += used;
    rest->len -= used;
    return true;
}

/* Is it about the harness, or Lua's inside, rather than about a script? */
static bool is_inner(struct span line)
{
    static const char *const marks[] = {"festa/harness.lua:", "[C]:"};
    for (size_t i = 0; i < 2; i++) {
        if (memmem(line.ptr, line.len, marks[i], strlen(marks[i])))
            return true;
    }
    return false;
}

/* Of a traceback that has no more than the place itself. */
static bool says_nothing(struct span text)
{
    struct span line;
    unsigned n = 0;

    while (next_line(&text, &line))
        n += !is_inner(line);
    return n < 2;
}

/* A block scalar. An indentation is named where the text begins with blanks, which would be taken for it. */
static void write_block(struct tap *tap, const char *key, struct span text, bool traceback)
{
    struct span line;

    while (text.len > 0 && text.ptr[text.len - 1] == '\n')
        text.len--;
    if (text.len == 0 || (traceback && says_nothing(text)))
        return;
    fprintf(tap->out, "  %s%s:%s |%s\n", colour(tap, DIM), key, colour(tap, PLAIN),
            *text.ptr == ' ' ? "2" : "");
    while (next_line(&text, &line)) {
        if (traceback && is_inner(line))
            continue;
        bool seen = line.len > 2 && (memcmp(line.ptr, "  +", 3) == 0 || memcmp(line.ptr, "  >", 3) == 0);
        bool wanted = line.len > 2 && memcmp(line.ptr, "  -", 3) == 0;
        fprintf(tap->out, "%s%s", line.len > 0 ? "    " : "", colour(tap, seen ? RED : wanted ? GREEN : ""));
        write_clean(tap, line);
        fprintf(tap->out, "%s\n", seen || wanted ? colour(tap, PLAIN) : "");
    }
}

void tap_fail(struct tap *tap, const char *file, struct span name, const struct tap_failure *failure)
{
    const struct http_problem *problem = failure->problem;

    tap->failed++;
    write_line(tap, "not ok", RED, file, name);
    fputs("\n  ---\n", tap->out);
    if (problem) {
        write_block(tap, "message", span_of(problem->message), false);
        if (problem->file)
            fprintf(tap->out, "  %sat:%s %s:%d\n", colour(tap, DIM), colour(tap, PLAIN), problem->file,
                    problem->line);
        write_block(tap, "source", span_of(problem->source), false);
        write_block(tap, "traceback", span_of(problem->traceback), true);
    } else {
        static const char text[] =
            "handlers have raised, and the test did not ask for that (harness.errors())";
        write_block(tap, "message", SPAN(text), false);
    }
    write_block(tap, "errors", failure->errors, false);
    write_block(tap, "log", failure->log, false);
    fputs("  ...\n", tap->out);
    fflush(tap->out);
}

void tap_comment(struct tap *tap, struct span lines)
{
    struct span line;

    while (next_line(&lines, &line)) {
        fprintf(tap->out, "%s# ", colour(tap, DIM));
        write_clean(tap, line);
        fprintf(tap->out, "%s\n", colour(tap, PLAIN));
    }
    fflush(tap->out);
}

void tap_end(struct tap *tap)
{
    unsigned passed = tap->n - tap->failed - tap->skipped;

    fprintf(tap->out, "1..%u\n%s# %u passed, %u failed", tap->n, colour(tap, tap->failed ? RED : GREEN),
            passed, tap->failed);
    if (tap->skipped > 0)
        fprintf(tap->out, ", %u skipped", tap->skipped);
    fprintf(tap->out, "%s\n", colour(tap, PLAIN));
    fflush(tap->out);
}
