/* The driver of store.h that keeps nothing: all is in memory, for `festa test`. What was submitted is kept at once, and
 * answers come in the loop's next turn, so tests see the same order each time. */
#pragma once

#include "store/store.h"

/* An empty one. Aborts when there is no memory, as all of it does. */
struct store *store_open_memory(void);

/* What is kept of a room, read at once. False at the end of them, or when there is none. */
bool store_memory_get(struct store *store, struct span party, struct span id, struct span key,
                      struct span *value);
bool store_memory_nth(struct store *store, struct span party, struct span id, size_t n, struct span *key,
                      struct span *value);
/* Its alarm; 0: none. */
int64_t store_memory_alarm(struct store *store, struct span party, struct span id);
