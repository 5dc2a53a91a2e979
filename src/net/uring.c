/* The ring of net/uring.h. The one file that knows liburing. */
#include "net/uring.h"

#include <errno.h>
#include <stddef.h>

#if FESTA_URING

#include "base/check.h"

#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>

struct uring {
    struct io_uring ring;
    struct msghdr messages[URING_SENDS]; /* of sends with more than one piece, until they are made */
};

/* Ways to set it up, the cheapest first. */
static const unsigned setups[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, /* Linux 6.1 */
    IORING_SETUP_COOP_TASKRUN,                               /* 5.19 */
};

struct uring *uring_open(int *error)
{
    struct uring *uring = malloc(sizeof *uring);
    int rc = -EINVAL;

    if (!uring) {
        *error = -ENOMEM;
        return NULL;
    }
    for (size_t i = 0; i < sizeof setups / sizeof *setups && rc == -EINVAL; i++)
        rc = io_uring_queue_init(URING_SENDS, &uring->ring, setups[i]);
    if (rc == 0)
        return uring;
    free(uring);
    *error = rc;
    return NULL;
}

void uring_close(struct uring *uring)
{
    if (!uring)
        return;
    io_uring_queue_exit(&uring->ring);
    free(uring);
}

static void prepare(struct uring *uring, const struct sending *send, unsigned i)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT;

    CHECK(sqe); /* nothing is left in it from one batch to the next */
    if (send->n_pieces == 1) {
        io_uring_prep_send(sqe, send->fd, send->pieces->iov_base, send->pieces->iov_len, flags);
    } else {
        struct msghdr *message = &uring->messages[i];
        *message = (struct msghdr){.msg_iov = send->pieces, .msg_iovlen = send->n_pieces};
        io_uring_prep_sendmsg(sqe, send->fd, message, (unsigned)flags);
    }
    io_uring_sqe_set_data64(sqe, i);
}

/* Takes the answers that are there; returns how many. */
static unsigned reap(struct uring *uring, struct sending *sends)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;

    io_uring_for_each_cqe(&uring->ring, head, cqe)
    {
        sends[io_uring_cqe_get_data64(cqe)].result = cqe->res;
        count++;
    }
    io_uring_cq_advance(&uring->ring, count);
    return count;
}

bool uring_send(struct uring *uring, struct sending *sends, unsigned n)
{
    struct io_uring *ring = &uring->ring;
    unsigned answered = 0;
    int rc = 0;

    for (unsigned i = 0; i < n; i++) {
        prepare(uring, &sends[i], i);
        sends[i].result = -EIO; /* should no answer come */
    }
    /* The kernel answers while it takes them; it takes less than all when it has no memory. */
    while (answered < n && (rc >= 0 || rc == -EINTR)) {
        rc = io_uring_sq_ready(ring) > 0 ? io_uring_submit(ring) : io_uring_submit_and_wait(ring, 1);
        answered += reap(uring, sends);
    }
    if (answered == n)
        return true;
    for (unsigned i = n - io_uring_sq_ready(ring); i < n; i++)
        sends[i].result = SENDING_DUE;
    return false;
}

#else

struct uring *uring_open(int *error)
{
    *error = -ENOSYS;
    return NULL;
}

void uring_close(struct uring *uring)
{
    (void)uring;
}

bool uring_send(struct uring *uring, struct sending *sends, unsigned n)
{
    (void)uring;
    (void)sends;
    return n == 0;
}

#endif
