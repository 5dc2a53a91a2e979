/* Memory for Lua states that serve no room: counted, and bounded. */
#pragma once

#include <stddef.h>

/* Begins with used = 0. */
struct bounded_memory {
    size_t used, limit; /* bytes */
};

/* A lua_Alloc whose user data is a struct bounded_memory. A block that gets smaller is never refused. */
void *bounded_alloc(void *memory, void *block, size_t old_size, size_t new_size);
