/* Bytes that several owners share: a broadcast's frame, a message's payload, a body.
 *
 * Counted without atomics: a struct bytes lives on one thread. To hand it to another
 * thread, hand over the only reference. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    uint32_t refs;
    bool grows;    /* data is an allocation of its own */
    size_t len;    /* bytes in use */
    size_t cap;    /* bytes at data */
    uint8_t *data; /* inside the same allocation, or (bytes_new_growing) one of its own */
};

/* len bytes, not initialised; one reference. NULL when there is no memory. */
struct bytes *bytes_new(size_t len) __attribute__((warn_unused_result));

/* A copy of len bytes; one reference. NULL when there is no memory. */
struct bytes *bytes_copy(const void *data, size_t len) __attribute__((warn_unused_result));

/* Empty and able to grow by bytes_append; cap bytes to begin with. NULL when there is no memory. */
struct bytes *bytes_new_growing(size_t cap) __attribute__((warn_unused_result));

/* Appends to what bytes_new_growing made; data may move. 0 or -ENOMEM (then nothing changed). */
int bytes_append(struct bytes *bytes, const void *data, size_t len) __attribute__((warn_unused_result));

/* The same for bytes that will be no more than most in the end: memory for more than that is not taken. */
int bytes_append_within(struct bytes *bytes, const void *data, size_t len, size_t most)
    __attribute__((warn_unused_result));

/* They grow no more: gives back the memory beyond their end. data may move. */
void bytes_trim(struct bytes *bytes);

/* One more reference; returns its argument. NULL stays NULL. */
struct bytes *bytes_ref(struct bytes *bytes);

/* One reference less; the last one frees. Accepts NULL. */
void bytes_unref(struct bytes *bytes);

/* Bytes of memory that it takes, with what malloc adds, about; 0 for NULL. */
size_t bytes_cost(const struct bytes *bytes);

/* Frees what the thread keeps for its next small bytes. Called when a loop thread ends. */
void bytes_thread_fini(void);
