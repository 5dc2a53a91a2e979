/* How festa.lua is read: config_file.c runs it, config_keys.c knows its keys, config_value.c their values. Internal to
 * these. */
#pragma once

#include "base/buf.h"
#include "base/config.h"
#include "script/code.h"

#include <lua.h>

/* One reading; all that it points to is config_file_read's. */
struct reading {
    lua_State *L;
    struct config *config;   /* what it is read into */
    const struct code *code; /* the file */
    struct buf *error;       /* what is wrong, a paragraph each */
    const char *section;     /* "limits." inside of that table; else "" */
    bool wrong;              /* something is */
};

/* Reads the key, whose value is at the top, into the configuration; what is wrong with it is said. */
void config_key(struct reading *r, const char *key);

/* ---- values; the one that is meant is at the top, and stays there ---- */

/* Says what is wrong with the key, with the file's line that names it. */
__attribute__((format(printf, 3, 4))) void config_complain(struct reading *r, const char *key,
                                                           const char *format, ...);

/* The value is not what was expected: "is EXPECTED, not VALUE". */
void config_expected(struct reading *r, const char *key, const char *expected);

/* The section, a table of names, has something else for a key. example: what it may have. */
void config_nameless(struct reading *r, const char *section, const char *example);

/* There is no such key; names are those that there are, ended by NULL. */
void config_unknown(struct reading *r, const char *key, const char *const *names);

/* A whole number from least to most. false after a complaint. */
bool config_whole(struct reading *r, const char *key, uint64_t least, uint64_t most, uint64_t *value);

/* Text without a NUL, the value's as long as that is alive. NULL after a complaint. */
const char *config_text(struct reading *r, const char *key);

/* true or false. false after a complaint. */
bool config_flag(struct reading *r, const char *key, bool *value);

/* How many keys a table has. */
size_t config_count(lua_State *L);

/* An array of texts, each of which is valid, into list; what is not is complained of. */
void config_texts(struct reading *r, const char *key, const char *expected, bool (*valid)(const char *text),
                  struct string_list *list);
