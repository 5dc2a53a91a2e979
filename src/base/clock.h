/* The clocks: for durations, for work, for dates. */
#pragma once

#include <stdint.h>

#define NS_PER_MS 1000000u

/* Nanoseconds since some moment; never goes back. */
uint64_t clock_monotonic_ns(void);

/* The same as of the last tick of the kernel, a few ms ago at most: a fifth of the price. */
uint64_t clock_coarse_ns(void);

/* Time of the CPU that the calling thread has used, in nanoseconds. A system call. */
uint64_t clock_thread_ns(void);

/* Milliseconds since 1970, UTC. */
int64_t clock_wall_ms(void);
