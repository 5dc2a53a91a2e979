#include "script/bounded.h"

#include <stdlib.h>

void *bounded_alloc(void *user, void *block, size_t old_size, size_t new_size)
{
    struct bounded_memory *memory = user;

    if (!block)
        old_size = 0; /* Lua gives the type of the object there */
    if (new_size > old_size && memory->used + (new_size - old_size) > memory->limit)
        return NULL;
    if (new_size == 0) {
        free(block);
        memory->used -= old_size;
        return NULL;
    }
    void *result = realloc(block, new_size);
    if (result)
        memory->used = memory->used - old_size + new_size;
    return result;
}
