/* Lua source, compiled once for each version and loaded into every VM as bytecode.
 *
 * Bytecode is trusted only because it never leaves memory: source is accepted as text
 * alone. A code is immutable and shared by threads. */
#pragma once

#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>

struct lua_State;

struct code {
    _Atomic uint32_t refs;
    char *name;        /* owned; path inside the project, as tracebacks show it: "parties/main.lua"; for Lua
                        * its source is "@parties/main.lua" */
    char *path;        /* owned; where the file is, for excerpts */
    int lines;         /* of the source */
    uint8_t *bytecode; /* owned; with its debug information */
    size_t len;
};

/* Compiles a file, within bounds of memory and of the CPU's time. On error NULL, and a paragraph in error
 * (code_complain). name is what the code is called in tracebacks. */
struct code *code_compile(const char *path, const char *name, struct buf *error)
    __attribute__((warn_unused_result));

/* The same for the handler that runs on L, in its memory and its time: if that is over (quota_check), the error
 * is of no worth. Raises nothing. L NULL: as code_compile. */
struct code *code_compile_on(struct lua_State *L, const char *path, const char *name, struct buf *error)
    __attribute__((warn_unused_result));

/* The same for source that is in memory; it is the project's no file. */
struct code *code_compile_text(struct span source, const char *name, struct buf *error)
    __attribute__((warn_unused_result));

/* lua_load of a text that a script gives, which its handler's time can end (quota_check). */
int code_load_text(struct lua_State *L, struct span source, const char *chunk_name, const char *mode)
    __attribute__((warn_unused_result));

struct code *code_ref(struct code *code);
void code_unref(struct code *code);

/* Are they the same, lines included? other may be NULL. */
bool code_same(const struct code *code, const struct code *other);

/* Adds a paragraph to what is wrong so far: "NAME:LINE: text", and five lines of the file at path around
 * that line. line 0: not known, "NAME: text" alone. */
void code_complain(struct buf *error, const char *path, const char *name, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Puts the paragraphs behind from, all of the file of this name, in order of their lines; those without a line come
 * last. */
void code_sort_complaints(struct buf *error, size_t from, const char *name);

/* Replaces the control characters behind from, but line feeds and tabs, by "?": what a script raised goes to a
 * terminal. */
void code_clean(struct buf *text, size_t from);

/* Appends "\n" and five lines of a file around a line (counted from 1), numbered, the line itself marked
 * with ">". Nothing if the file can't be read. */
void code_excerpt(const char *path, int line, struct buf *out);

/* The line in "NAME:LINE: message", as Lua has it for errors, and where the message begins. 0 when there is
 * no such place in it: then the whole is the message. */
int code_error_line(const char *error, const char **message);

/* The first line of a file (counted from 1) that has this word, or 0: for complaints about a key. */
int code_line_of(const char *path, const char *word);
