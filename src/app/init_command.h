#pragma once

#include "app/cli.h"

/* festa init: writes a project out of a template into a folder that is new or empty; with --force into any, and never
 * over a file that is there. Returns the exit code. */
int init_command(const struct cli *cli);
