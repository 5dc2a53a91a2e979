/* The end of a process that found a mistake of its own. Called by CHECK and by all who
 * allocate small structs; goes past the log, whose thread could be the one in trouble. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "festa: %s:%d: check failed: %s\n", file, line, what);
    abort();
}

void *xcalloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory) {
        fprintf(stderr, "festa: out of memory (%zu bytes)\n", size);
        abort();
    }
    return memory;
}

char *xstrdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(xcalloc(size), text, size);
}
