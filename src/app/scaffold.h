/* Writes files of the program's own (script/embedded.h) into a project: `festa init` and `festa types`. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>

enum scaffold_rule {
    SCAFFOLD_KEEP,    /* a file that is there stays as it is */
    SCAFFOLD_REPLACE, /* it is ours: written anew, in one step */
};

/* One that was looked at, for the caller to say; name: relative to the folder. */
typedef void (*scaffold_report)(void *user, const char *name, bool written);

/* Makes a folder and those above it that are missing. 0 or a negative errno. */
int scaffold_folder(const char *path) __attribute__((warn_unused_result));

/* Writes one file below root, with the folders that lead to it. 0, 1 when it was kept, or a negative code; then error has one
 * line. */
int scaffold_file(const char *root, const char *name, const char *data, size_t size, enum scaffold_rule rule,
                  struct buf *error) __attribute__((warn_unused_result));

/* Writes all embedded files whose names begin with prefix; that is left out of their names, and under (may be "")
 * is put before it. report may be NULL. 0 or a negative code; then error has one line. */
int scaffold_tree(const char *root, const char *prefix, const char *under, enum scaffold_rule rule,
                  scaffold_report report, void *user, struct buf *error) __attribute__((warn_unused_result));
