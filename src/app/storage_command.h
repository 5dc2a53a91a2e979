/* festa rooms and festa storage: commands that show, change and save what rooms have stored. */
#pragma once

#include "app/cli.h"

/* Does what the command line asks for, and says on stderr what is wrong. Returns the exit code. */
int storage_command(const struct cli *cli);
