/* A thread of the store, and the list of requests that it works through. */
#pragma once

#include "base/list.h"

#include <pthread.h>
#include <stdbool.h>

struct store_thread {
    pthread_t id;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list waiting; /* under the lock, as all that follows */
    bool asleep, ending;
};

/* name: up to 15 bytes. 0 or a negative errno. */
int store_thread_start(struct store_thread *thread, const char *name, void *(*main)(void *), void *user)
    __attribute__((warn_unused_result));

/* Lets it work through what waits, and awaits its end. */
void store_thread_end(struct store_thread *thread);

/* From any thread: adds an element to what waits, or all of a list, which is empty then. */
void store_thread_give(struct store_thread *thread, struct list *link);
void store_thread_give_all(struct store_thread *thread, struct list *list);

/* On the thread: moves all that waits to the end of list. If that is empty it waits for something, for so many ms
 * at most (-1: as long as it takes). false when the thread is to end and nothing is left. */
bool store_thread_take(struct store_thread *thread, struct list *list, int ms);
