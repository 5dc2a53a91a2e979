/* What curl tells of a response: its head, line by line, and its body, which is inflated here. Called by curl, and by
 * transfer.c when there is room for more of the body; never calls an owner. */
#include "fetch/private.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- its head ---- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* "HTTP/1.1 200 OK": another head begins, behind one of an interim response (RFC 9110 §15.2). */
static void begin_head(struct transfer *transfer, struct span line)
{
    struct fetch *fetch = transfer->fetch;
    const char *blank = memchr(line.ptr, ' ', line.len);
    struct span rest = {line.ptr + line.len, 0};

    if (blank)
        rest = (struct span){blank + 1, line.len - (size_t)(blank + 1 - line.ptr)};
    fetch->status = 0;
    while (rest.len > 0 && rest.ptr[0] >= '0' && rest.ptr[0] <= '9' && fetch->status < 100) {
        fetch->status = fetch->status * 10 + (rest.ptr[0] - '0');
        rest = (struct span){rest.ptr + 1, rest.len - 1};
    }
    rest = span_trim(rest);
    snprintf(fetch->reason, sizeof fetch->reason, "%.*s", (int)(rest.len < 64 ? rest.len : 63), rest.ptr);
    fetch->headers.len = 0;
    free(transfer->location);
    transfer->location = NULL;
    transfer->coding = CODING_NONE;
}

/* The empty line: is this the response that counts, or one that leads elsewhere? False: it fails. */
static bool end_head(struct transfer *transfer)
{
    struct fetch *fetch = transfer->fetch;
    curl_off_t length = -1;

    if (fetch->status < 200)
        return true;
    transfer->head_done = true;
    if (is_redirect(fetch->status) && transfer->location && transfer->redirect != FETCH_MANUAL) {
        if (transfer->redirect == FETCH_REFUSE)
            return transfer_fails(transfer, FETCH_REDIRECT, "the server redirects");
        transfer->redirecting = true;
        return true;
    }
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (!transfer->stream && strcmp(transfer->method, "HEAD") != 0 && length >= 0 &&
        (uint64_t)length > transfer->most)
        return transfer_fails(transfer, FETCH_TOO_LARGE, "the body is too large");
    if (transfer->coding == CODING_GZIP || transfer->coding == CODING_DEFLATE) {
        transfer->decoder = decoder_new(transfer->coding);
        if (!transfer->decoder)
            return transfer_no_memory(transfer);
    }
    fetch_head(fetch);
    return true;
}

/* One coding after another is none that we decode: there is no bound on how many. */
static void add_coding(struct transfer *transfer, struct span value)
{
    enum coding coding = coding_of(value);

    if (coding != CODING_NONE)
        transfer->coding = transfer->coding == CODING_NONE ? coding : CODING_OTHER;
}

static bool take_header(struct transfer *transfer, struct span line)
{
    struct fetch *fetch = transfer->fetch;
    struct span name = header_name(line), value = {line.ptr + line.len, 0};

    if (buf_append(&fetch->headers, line.ptr, line.len) != 0 || buf_append(&fetch->headers, "\r\n", 2) != 0)
        return transfer_no_memory(transfer);
    if (name.len < line.len)
        value = span_trim((struct span){line.ptr + name.len + 1, line.len - name.len - 1});
    if (span_equal_nocase(name, SPAN("content-encoding")))
        add_coding(transfer, value);
    /* It was not asked for (TE), and curl would inflate it without a bound. */
    if (span_equal_nocase(name, SPAN("transfer-encoding")) && !span_equal_nocase(value, SPAN("chunked")) &&
        !span_equal_nocase(value, SPAN("identity")))
        return transfer_fails(transfer, FETCH_NETWORK,
                              "the answer has a transfer coding that was not asked for");
    if (!span_equal_nocase(name, SPAN("location")) || transfer->location || value.len == 0)
        return true;
    transfer->location = strndup(value.ptr, value.len);
    return transfer->location || transfer_no_memory(transfer);
}

/* A line of a head, with its end; also of the trailers behind a body, which nobody is told of. */
/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl has it so */
size_t response_header(char *data, size_t size, size_t n, void *user)
{
    struct transfer *transfer = user;
    struct span line = {data, size * n};
    bool good = true;

    if (!transfer->fetch)
        return 0;
    if (transfer->head_done)
        return size * n;
    transfer->fetch->progress = loop_now(transfer->fetcher->loop);
    transfer->fetch->head_size += line.len;
    if (transfer->fetch->head_size > FETCH_HEAD_MAX) {
        transfer_fails(transfer, FETCH_TOO_LARGE, "the headers are too large");
        return 0;
    }
    while (line.len > 0 && (line.ptr[line.len - 1] == '\r' || line.ptr[line.len - 1] == '\n'))
        line.len--;
    if (line.len == 0)
        good = end_head(transfer);
    else if (line.len > 5 && memcmp(line.ptr, "HTTP/", 5) == 0)
        begin_head(transfer, line);
    else
        good = take_header(transfer, line);
    return good ? size * n : 0;
}

/* ---- its body ---- */

bool response_decode(struct transfer *transfer)
{
    struct fetch *fetch = transfer->fetch;
    size_t before = fetch->body.len;

    while (decoder_pending(transfer->decoder)) {
        size_t room = fetch->allowed > fetch->body.len ? fetch->allowed - fetch->body.len : 0;
        if (room == 0) {
            fetch->starved = true;
            fetch_touch(fetch);
            return true;
        }
        if (!fetcher_may_inflate(transfer->fetcher)) {
            fetcher_put_off(transfer);
            return true;
        }
        uint64_t began = clock_monotonic_ns();
        int rc = decoder_take(transfer->decoder, &fetch->body, room);
        transfer->fetcher->inflating += clock_monotonic_ns() - began;
        if (rc == -EBADMSG)
            return transfer_fails(transfer, FETCH_NETWORK, "the body is damaged: it can't be decompressed");
        if (rc != 0)
            return transfer_no_memory(transfer);
        if (!transfer->stream && fetch->body.len > transfer->most)
            return transfer_fails(transfer, FETCH_TOO_LARGE, "the body is too large");
        if (fetch->body.len > before) {
            fetch->progress = loop_now(transfer->fetcher->loop);
            fetch_touch(fetch);
        }
    }
    return true;
}

/* The same of a body that is coded. While the last piece is not decoded to its end, no other is taken. */
static size_t on_coded(struct transfer *transfer, const char *data, size_t len)
{
    struct fetch *fetch = transfer->fetch;

    if (decoder_pending(transfer->decoder)) {
        transfer->held = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (decoder_give(transfer->decoder, data, len) != 0) {
        transfer_no_memory(transfer);
        return 0;
    }
    fetch->progress = loop_now(transfer->fetcher->loop);
    fetch_touch(fetch);
    return response_decode(transfer) ? len : 0;
}

size_t response_body(char *data, size_t size, size_t n, void *user)
{
    struct transfer *transfer = user;
    struct fetch *fetch = transfer->fetch;
    size_t len = size * n;

    if (!fetch)
        return 0;
    if (transfer->redirecting) {
        transfer->swallowed += len;
        return transfer->swallowed > SWALLOW_MAX ? 0 : len;
    }
    if (transfer->decoder)
        return on_coded(transfer, data, len);
    if (!transfer->stream && fetch->body.len + len > transfer->most) {
        transfer_fails(transfer, FETCH_TOO_LARGE, "the body is too large");
        return 0;
    }
    if (fetch->body.len > 0 && fetch->body.len + len > fetch->allowed) {
        fetch->starved = transfer->held = true;
        fetch_touch(fetch);
        return CURL_WRITEFUNC_PAUSE;
    }
    if (buf_append(&fetch->body, data, len) != 0) {
        transfer_no_memory(transfer);
        return 0;
    }
    fetch->progress = loop_now(transfer->fetcher->loop);
    fetch_touch(fetch);
    return len;
}
