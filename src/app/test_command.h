#pragma once

#include "app/cli.h"

/* festa test: runs tests/NAME_test.lua of the project and reports in TAP, version 14, to the standard output. Returns
 * the exit code: 0 when all have passed, and there were some. */
int test_command(const struct cli *cli);
