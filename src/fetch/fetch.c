/* What the owner of a fetch sees: its state, its body, its time. */
#include "fetch/private.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *fetch_error_code(enum fetch_error error)
{
    switch (error) {
    case FETCH_NO_ERROR: break;
    case FETCH_TIMEOUT: return "timeout";
    case FETCH_DNS: return "dns";
    case FETCH_CONNECT: return "connect";
    case FETCH_TLS: return "tls";
    case FETCH_TOO_LARGE: return "too_large";
    case FETCH_BLOCKED: return "blocked";
    case FETCH_REDIRECT: return "redirect";
    case FETCH_ABORTED: return "aborted";
    case FETCH_NETWORK: return "network";
    }
    return "";
}

/* ---- struct fetch_share ---- */

struct fetch_share *fetch_share_new(void)
{
    struct fetch_share *share = calloc(1, sizeof *share);
    if (share)
        share->refs = 1;
    return share;
}

struct fetch_share *fetch_share_ref(struct fetch_share *share)
{
    if (share)
        share->refs++;
    return share;
}

void fetch_share_unref(struct fetch_share *share)
{
    if (share && --share->refs == 0)
        free(share);
}

/* ---- what the transfer says ---- */

void fetch_touch(struct fetch *fetch)
{
    if (!list_linked(&fetch->touched))
        list_push(&fetch->fetcher->touched, &fetch->touched);
    loop_soon(fetch->fetcher->loop, &fetch->fetcher->soon);
}

void fetch_head(struct fetch *fetch)
{
    fetch->state = FETCH_HEAD;
    fetch->has_head = true;
    free(fetch->url);
    fetch->url = strdup(fetch->transfer->url); /* NULL: no memory, and then it is not known */
    fetch_touch(fetch);
}

void fetch_over(struct fetch *fetch, enum fetch_error error, const char *message)
{
    struct transfer *transfer = fetch->transfer;

    fetch->error = error;
    if (error != FETCH_NO_ERROR && message)
        snprintf(fetch->message, sizeof fetch->message, "%s", message);
    fetch->state = error == FETCH_NO_ERROR ? FETCH_COMPLETE : FETCH_FAILED;
    fetch->starved = false;
    if (error != FETCH_NO_ERROR && !fetch->stream)
        buf_fini(&fetch->body); /* half of it is for nobody */
    timer_stop(&fetch->timer);
    fetch->transfer = NULL;
    if (transfer)
        transfer_give_up(transfer);
    fetch_touch(fetch);
}

/* ---- its time ---- */

static void on_time(struct timer *timer)
{
    struct fetch *fetch = container_of(timer, struct fetch, timer);
    uint64_t quiet = loop_now(fetch->fetcher->loop) - fetch->progress;
    char message[64];

    if (fetch->stream && fetch->state == FETCH_HEAD && quiet < fetch->timeout_ms) {
        timer_start(fetch->fetcher->loop, timer, fetch->timeout_ms - quiet);
        return;
    }
    snprintf(message, sizeof message, "%s within %llu ms",
             fetch->state == FETCH_RUNNING ? "no answer"
             : fetch->stream               ? "no progress"
                                           : "the answer did not end",
             (unsigned long long)fetch->timeout_ms);
    fetch_fail(fetch, FETCH_TIMEOUT, message);
}

/* ---- what its owner does ---- */

void fetch_start(struct fetcher *fetcher, struct fetch *fetch, const struct fetch_options *options)
{
    CHECK(fetch->state == FETCH_IDLE);
    fetch->state = FETCH_RUNNING;
    fetch->fetcher = fetcher;
    fetch->allowed = FETCH_WINDOW;
    fetch->timeout_ms = options->timeout_ms;
    fetch->stream = options->stream;
    fetch->progress = loop_now(fetcher->loop);
    fetch->timer.fn = on_time;
    int rc = transfer_start(fetch, options);
    if (rc != 0)
        fetch_over(fetch, FETCH_NETWORK, rc == -ENOMEM ? "not enough memory" : "the URL can't be fetched");
    else
        timer_start(fetcher->loop, &fetch->timer, options->timeout_ms);
}

/* Reads on if there is room for it now. */
static void read_on(struct fetch *fetch)
{
    if (!fetch->starved || fetch->body.len >= fetch->allowed)
        return;
    fetch->starved = false;
    if (fetch->transfer)
        transfer_go_on(fetch->transfer);
}

void fetch_consume(struct fetch *fetch, size_t len)
{
    buf_consume(&fetch->body, len);
    if (!fetch->transfer)
        return;
    fetch->progress = loop_now(fetch->fetcher->loop);
    if (fetch->body.len <= fetch->allowed / 2)
        read_on(fetch);
}

void fetch_allow(struct fetch *fetch, size_t size)
{
    if (size > fetch->allowed)
        fetch->allowed = size;
    read_on(fetch);
}

size_t fetch_decoding(const struct fetch *fetch)
{
    return fetch->transfer ? decoder_size(fetch->transfer->decoder) : 0;
}

void fetch_fail(struct fetch *fetch, enum fetch_error error, const char *message)
{
    if (fetch->state == FETCH_RUNNING || fetch->state == FETCH_HEAD)
        fetch_over(fetch, error, message);
}

void fetch_close(struct fetch *fetch)
{
    if (!fetch || fetch->state == FETCH_IDLE)
        return;
    struct transfer *transfer = fetch->transfer;
    fetch->transfer = NULL;
    if (transfer)
        transfer_give_up(transfer);
    list_remove(&fetch->touched);
    timer_stop(&fetch->timer);
    free(fetch->url);
    buf_fini(&fetch->headers);
    buf_fini(&fetch->body);
    *fetch = (struct fetch){.changed = fetch->changed};
}
