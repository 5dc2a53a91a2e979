/* Assertions that stay on in release builds, and allocation that does not fail.
 *
 * CHECK is for our own mistakes only: it prints the condition and aborts. What a
 * client or a script can cause is an error that is handled, never a CHECK. */
#pragma once

#include <stddef.h>

#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))

/* Prints where and what, then aborts. */
_Noreturn void check_failed(const char *file, int line, const char *what);

/* Memory for small structs of a fixed size, zeroed. Aborts with a message when there
 * is none: what a peer controls the size of is allocated with malloc and checked. */
void *xcalloc(size_t size);

/* A copy of a text; aborts like xcalloc. For names and paths of the configuration. */
char *xstrdup(const char *text);
