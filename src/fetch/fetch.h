/* Outbound HTTP: requests that this process makes, by libcurl on the loop's own sockets and timers.
 *
 * A struct fetcher is what the fetches of one loop thread share: connections that are kept, looked up names,
 * certificates. A struct fetch is one request with its response. It lies in its owner's memory, who reads its
 * members and is told by `changed` when there is something new; that is never called within a function of
 * this header, nor within one of curl's.
 *
 * Life: FETCH_RUNNING, nothing is known → FETCH_HEAD, status and headers are there, the body comes →
 * FETCH_COMPLETE; FETCH_FAILED from either. Redirects are followed in between, and are not seen. fetch_close ends
 * it at any time.
 *
 * HTTP and HTTPS only, redirects too. No cookies, no .netrc, no proxy of the environment. A body that is
 * coded by gzip or deflate (RFC 9110 §8.4) comes to the owner decoded, no more at once than it allows and no more in a
 * turn than FETCH_INFLATE_TURN; others come as they are. Looking up a name blocks a thread of curl's, never the loop. */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/span.h"
#include "loop/timer.h"

struct fetcher;
struct transfer;

/* Why it failed. */
enum fetch_error {
    FETCH_NO_ERROR,
    FETCH_TIMEOUT,   /* options.timeout_ms */
    FETCH_DNS,       /* the name has no address, or nobody knows */
    FETCH_CONNECT,   /* no address took the connection */
    FETCH_TLS,       /* no TLS, or the certificate is not trusted */
    FETCH_TOO_LARGE, /* the body is over options.most, or the head over FETCH_HEAD_MAX */
    FETCH_BLOCKED,   /* the address is a private one (options.public_only) */
    FETCH_REDIRECT,  /* redirects without an end or to elsewhere than HTTP, or one where none may be */
    FETCH_ABORTED,   /* its owner has ended it (fetch_fail) */
    FETCH_NETWORK,   /* anything else: the connection broke off, what came is no HTTP */
};

/* "timeout", "dns", …; "" for FETCH_NO_ERROR. */
const char *fetch_error_code(enum fetch_error error);

#define FETCH_HEAD_MAX ((size_t)64 * 1024) /* bytes of the heads of all responses, those of redirects too */
#define FETCH_REDIRECTS_MAX 10
#define FETCH_WINDOW                                                                                         \
    ((size_t)64 * 1024)       /* bytes of a body that may wait for the owner, unless it allows more */
#define FETCH_CONNECTIONS 256 /* of a fetcher; more fetches than that wait for their turn */
#define FETCH_INFLATE_TURN (2u * NS_PER_MS) /* ns that a fetcher may inflate in a turn */
#define FETCH_COST ((size_t)32 * 1024) /* bytes that one takes in C while it runs, about, besides its body */

/* How many fetches somebody has under way, those too that were closed while a name was being looked up, which
 * curl can't call back: so nobody gathers threads that wait for a slow name server. */
struct fetch_share {
    uint32_t refs;
    uint32_t count;
};

/* One reference; NULL: no memory. The others accept NULL. */
struct fetch_share *fetch_share_new(void) __attribute__((warn_unused_result));
struct fetch_share *fetch_share_ref(struct fetch_share *share);
void fetch_share_unref(struct fetch_share *share);

enum fetch_redirect {
    FETCH_FOLLOW, /* up to FETCH_REDIRECTS_MAX; elsewhere without Authorization, Cookie and Host */
    FETCH_MANUAL, /* the 3xx is the response */
    FETCH_REFUSE, /* it is a failure */
};

/* Read by fetch_start; nothing of it is needed afterwards. */
struct fetch_options {
    const char *url;           /* fetch_url_check has accepted it */
    const char *method;        /* a token, as it is to be sent */
    struct span headers;       /* lines, each ended by CR LF, without any that frame the message */
    struct bytes *body;        /* a reference is taken; NULL: none */
    const char *ca_file;       /* authorities that are trusted besides the system's, PEM; NULL: none */
    struct fetch_share *share; /* a reference is taken; NULL: counted nowhere */
    uint64_t timeout_ms;       /* for all of it; stream: until the head, then without any progress */
    size_t most;               /* bytes that the body may have; stream: any number */
    enum fetch_redirect redirect;
    bool stream;      /* the owner takes the body while it comes */
    bool public_only; /* not to addresses of this machine or its networks (private_address.h) */
};

struct fetch {
    /* Set before fetch_start: */
    void (*changed)(struct fetch *fetch); /* it may call all functions of this header */

    /* To be read: */
    enum { FETCH_IDLE, FETCH_RUNNING, FETCH_HEAD, FETCH_COMPLETE, FETCH_FAILED } state; /* IDLE: zeroed */
    enum fetch_error error;                                                             /* of FETCH_FAILED */
    char message[256]; /* of FETCH_FAILED, for people */
    bool has_head;     /* FETCH_HEAD was reached: these are known, though it may have failed since */
    int status;
    char reason[64];    /* the phrase beside the status, cut; "" where there is none */
    char *url;          /* owned; where the response came from */
    struct buf headers; /* lines, each ended by CR LF */
    struct buf body;    /* what has come and was not consumed */
    size_t allowed;     /* bytes that body may have */
    bool starved;       /* it does not read on: the body is as large as allowed */

    /* fetch.c's: */
    size_t head_size;
    uint64_t timeout_ms, progress; /* ms; of loop_now */
    bool stream;
    struct transfer *transfer; /* NULL: none is under way */
    struct fetcher *fetcher;
    struct list touched; /* in fetcher->touched: changed is to be called */
    struct timer timer;
};

/* Aborts when there is no memory. */
struct fetcher *fetcher_new(struct loop *loop) __attribute__((warn_unused_result));

/* All fetches must be closed. Accepts NULL. The loop has to turn afterwards (loop_fini does) until libuv has
 * closed the sockets' handles. */
void fetcher_free(struct fetcher *fetcher);

/* Is this a URL that can be fetched? -EINVAL: it is none. -EPROTONOSUPPORT: its scheme is not http or https.
 * -ENOMEM. */
int fetch_url_check(const char *url) __attribute__((warn_unused_result));

/* Begins. What goes wrong is a failure that `changed` tells of. */
void fetch_start(struct fetcher *fetcher, struct fetch *fetch, const struct fetch_options *options);

/* The owner has used so many bytes at the beginning of the body; others may come. */
void fetch_consume(struct fetch *fetch, size_t len);

/* The body may wait up to this size, if that is more than before. */
void fetch_allow(struct fetch *fetch, size_t size);

/* Bytes that it takes to decode the body, besides all that is in struct fetch. */
size_t fetch_decoding(const struct fetch *fetch);

/* The owner has had enough: it fails with this. Nothing happens when it is over. */
void fetch_fail(struct fetch *fetch, enum fetch_error error, const char *message);

/* changed will be called, later in this turn. */
void fetch_touch(struct fetch *fetch);

/* Ends it, whatever its state, and gives back what it owns; `changed` is not called any more. Accepts one that is
 * zeroed or closed. */
void fetch_close(struct fetch *fetch);
