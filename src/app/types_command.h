#pragma once

#include "app/cli.h"
#include "base/buf.h"

/* festa types: writes what lua-language-server reads to know Festa, DIR/.festa/types, and DIR/.luarc.json if there
 * is none. With --names it lists the names instead. Returns the exit code. */
int types_command(const struct cli *cli);

/* The same files, for a project that is being made. 0, 1 when the .luarc.json was there already, or a negative code;
 * then error has one line. */
int types_write(const char *root, struct buf *error) __attribute__((warn_unused_result));
