/* The certificates that the configuration names (`tls`). */
#pragma once

#include "base/buf.h"
#include "base/config.h"
#include "net/tls.h"

/* Reads them; paths are relative to root. *server is NULL when there are none. 0, or a negative code with what is
 * wrong in error; warnings get a line for each thing that is strange, but works. */
int certificates_open(const char *root, const struct config *config, struct tls_server **server,
                      struct buf *error, struct buf *warnings) __attribute__((warn_unused_result));
