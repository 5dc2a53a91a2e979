/* What the files of fetch share: fetcher.c drives curl on the loop, transfer.c is one fetch's way through curl,
 * with its redirects, response.c what curl tells of its responses, fetch.c what its owner sees of it. */
#pragma once

#include "fetch/decode.h"
#include "fetch/fetch.h"

#include <curl/curl.h>

#define SWALLOW_MAX ((size_t)64 * 1024) /* bytes of a redirect's body that are read, to keep the connection */

struct fetcher {
    struct loop *loop;
    CURLM *multi;
    struct timer timer;    /* when curl wants to be called */
    struct soon soon;      /* tells the owners of those that are touched */
    struct list touched;   /* of struct fetch */
    struct list transfers; /* of struct transfer */
    struct list put_off;   /* of struct transfer: to be decoded in the next turn */
    struct timer decode;   /* when it comes */
    uint64_t turn;         /* of the loop's */
    uint64_t inflating;    /* ns that were spent on it in that turn */
    bool ca_folder;        /* the system's authorities lie in a folder where each is found by its hash */
};

/* A request on its way: what is curl's. It outlives its fetch while a name is being looked up, since ending it
 * then would block the loop until that is over. */
struct transfer {
    struct list link; /* in fetcher->transfers */
    struct fetcher *fetcher;
    struct fetch *fetch; /* NULL: given up */
    CURL *easy;
    char *url, *method;         /* owned; of the present request */
    struct buf header_lines;    /* of it; each ended by CR LF */
    struct curl_slist *headers; /* owned; the same for curl */
    struct bytes *body;         /* a reference; NULL: none */
    struct fetch_share *share;  /* a reference */
    char *location;             /* owned; where the response redirects to */
    enum coding coding;         /* of the response's body */
    struct decoder *decoder;    /* owned; NULL: the body is taken as it comes */
    struct list put_off;        /* in fetcher->put_off */
    size_t most, swallowed;     /* bytes; of the body of a redirect */
    int redirects;              /* followed so far */
    enum fetch_redirect redirect;
    bool public_only, stream;
    bool held;        /* curl was told to wait with the body */
    bool ended;       /* all has come; it may not be decoded yet */
    bool sent;        /* curl has begun to send the present request */
    bool resolving;   /* a name is being looked up */
    bool blocked;     /* an address was refused */
    bool redirecting; /* the response is a redirect that is to be followed */
    bool head_done;   /* of the response that counts, or that redirects */
    char error[CURL_ERROR_SIZE];
};

/* Is there time left in this turn to inflate something? */
bool fetcher_may_inflate(struct fetcher *fetcher);

/* transfer_go_on is called in the next turn. */
void fetcher_put_off(struct transfer *transfer);

/* The response has a head from here on. */
void fetch_head(struct fetch *fetch);

/* The transfer is over and gone: all has come, or it failed. */
void fetch_over(struct fetch *fetch, enum fetch_error error, const char *message);

/* Begins what the options say; 0, or a negative code, with nothing begun. */
int transfer_start(struct fetch *fetch, const struct fetch_options *options)
    __attribute__((warn_unused_result));

/* There is room for the body again. */
void transfer_go_on(struct transfer *transfer);

/* curl has come to its end. */
void transfer_done(struct transfer *transfer, CURLcode result);

/* Its fetch wants no more of it. */
void transfer_give_up(struct transfer *transfer);

/* Ends it, at once. */
void transfer_free(struct transfer *transfer);

/* The fetch will fail with this, if with nothing before; its owner is told when the transfer is over. Both return
 * false. */
bool transfer_fails(struct transfer *transfer, enum fetch_error error, const char *message);
bool transfer_no_memory(struct transfer *transfer);

/* CURLOPT_HEADERFUNCTION and CURLOPT_WRITEFUNCTION, of a struct transfer. */
size_t response_header(char *data, size_t size, size_t n, void *user);
size_t response_body(char *data, size_t size, size_t n, void *user);

/* Inflates what has come of the body, as far as the owner has room for it and this turn has time. False: it fails. */
bool response_decode(struct transfer *transfer);

/* The name in a line of headers; all of a line without a colon. */
static inline struct span header_name(struct span line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    return (struct span){line.ptr, colon ? (size_t)(colon - line.ptr) : line.len};
}

/* Where a reference in a response leads, seen from its URL: an owned URL without fragment, or NULL; *rc is -EINVAL,
 * -EPROTONOSUPPORT or -ENOMEM then. */
char *url_resolve(const char *base, const char *reference, int *rc);

/* Have both the same scheme, host and port? */
bool url_same_origin(const char *a, const char *b);
