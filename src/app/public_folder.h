/* The folder of a project's static files, at the start. */
#pragma once

#include "base/buf.h"
#include "base/config.h"

/* Opens the folder that the configuration names, relative to the project's root (a real path). *fd is the
 * caller's; -1: it is the default one, and not there, so that there are no static files. A negative code, and
 * why, for one that can't be opened, or that would show what is not for clients: the project, its scripts, or the
 * data folder (which need not be there yet). */
int public_folder_open(const char *root, const struct config *config, const char *data, int *fd,
                       struct buf *error) __attribute__((warn_unused_result));
