/* festa.lua: runs in an empty environment and returns plain data, which is checked and put
 * into the configuration. */
#pragma once

#include "base/buf.h"
#include "base/config.h"

/* Reads the file at path into config (which has the defaults, or what flags will override).
 * A missing file is fine when optional. On error a negative code, and error (appended) says
 * file, line, what is wrong, and what may have been meant. */
int config_file_read(struct config *config, const char *path, bool optional, struct buf *error)
    __attribute__((warn_unused_result));
