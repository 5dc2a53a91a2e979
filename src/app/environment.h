/* The variables that scripts see as party.env: configuration < .env < FESTA_VAR_* of the process
 * environment < --var. */
#pragma once

#include "app/cli.h"
#include "base/buf.h"

/* Puts them together as "NAME=value", each name once. A .env that can't be read or has a line that
 * is none is an error: a negative code, and error says file and line. */
int environment_collect(struct string_list *env, const struct config *config, const char *directory,
                        const struct cli *cli, struct buf *error);
