/* Sends to many sockets with one system call: Linux's io_uring, for the batch of net/output.c.
 *
 * The kernel may not have it, or not allow it (containers forbid it by seccomp, administrators
 * by kernel.io_uring_disabled), and the build may lack liburing: then there is no ring, and
 * each socket is sent to by itself. Nothing is ever left in a ring: uring_send returns when
 * the kernel has answered for all. A ring belongs to the thread that opened it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

/* At most so many with one call. */
#define URING_SENDS 256u

/* A send() that is to be made, of n_pieces (1 or more) to a connected stream socket. */
struct sending {
    int fd;
    unsigned n_pieces;
    struct iovec *pieces; /* the caller's */
    ssize_t result;       /* bytes that the kernel took, a negative errno, or SENDING_DUE */
};

/* Of a send that was not made. */
#define SENDING_DUE ((ssize_t)1 << (sizeof(ssize_t) * 8 - 2))

struct uring;

/* NULL with a negative errno in *error where there is none: -ENOSYS, -EPERM, -ENOMEM, -EMFILE, …
 * Needs Linux 5.19: kernels before 5.12 would wait for a slow reader in spite of MSG_DONTWAIT. */
struct uring *uring_open(int *error);

/* Accepts NULL. */
void uring_close(struct uring *uring);

/* Makes n sends (at most URING_SENDS), to different sockets, none of which waits (MSG_DONTWAIT,
 * MSG_NOSIGNAL), and sets their results. False: the ring has failed and is to be closed; sends
 * that the kernel was not given have SENDING_DUE as result, and are the caller's to make. */
bool uring_send(struct uring *uring, struct sending *sends, unsigned n) __attribute__((warn_unused_result));
