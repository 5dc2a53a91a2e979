/* "did you mean": the nearest known name to one that is not known. */
#pragma once

#include <stddef.h>

/* The name in the NULL-ended array that is close enough to text to be meant (at most a
 * third of its letters differ, case apart), or NULL. */
const char *suggest(const char *text, const char *const *names);
