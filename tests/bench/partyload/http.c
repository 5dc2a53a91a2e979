/*
 * http - requests, responses, and the upgrade to WebSocket.
 */
#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static uint64_t next_room; /* rooms mode: the next one to touch */

/* Renders a path template: %d is the room, %c the connection, %% a percent. */
static void render_path(char *dst, size_t cap, const char *t, uint64_t room, uint32_t id)
{
    size_t n = 0;
    for (; *t && n + 24 < cap; t++) {
        if (*t == '%' && t[1] == 'd')
            n += (size_t)sprintf(dst + n, "%" PRIu64, room), t++;
        else if (*t == '%' && t[1] == 'c')
            n += (size_t)sprintf(dst + n, "%" PRIu32, id), t++;
        else
            dst[n++] = *t == '%' && t[1] == '%' ? *t++ : *t;
    }
    dst[n] = 0;
}

size_t render_request(char *dst, size_t cap, uint64_t room, uint32_t id)
{
    char path[512];
    render_path(path, sizeof path, opt.path, room, id);
    if (opt.body)
        return (size_t)snprintf(dst, cap,
                                "%s %s HTTP/1.1\r\nHost: %s:%d\r\n%sContent-Type: application/json\r\n"
                                "Content-Length: %zu\r\n\r\n%s",
                                opt.method, path, opt.host, opt.port, opt.extra, strlen(opt.body), opt.body);
    return (size_t)snprintf(dst, cap, "%s %s HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n", opt.method, path, opt.host,
                            opt.port, opt.extra);
}

void send_upgrade(struct conn *c)
{
    char path[512], req[1024];
    render_path(path, sizeof path, opt.path, c->room, c->id);
    int n = snprintf(req, sizeof req,
                     "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                     path, opt.host, opt.port, opt.extra);
    c->state = UPGRADING;
    conn_write(c, req, (size_t)n);
}

/* The value of a header in a response head, or NULL. */
static const char *find_header(const char *head, const char *end, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = head; (p = memchr(p, '\n', (size_t)(end - p)));) {
        if (++p + n >= end)
            return NULL;
        if ((*p | 32) == *name && p[n] == ':' && !strncasecmp(p, name, n)) {
            p += n + 1;
            return p + strspn(p, " \t");
        }
    }
    return NULL;
}

/* Length of a whole chunked body at p, or 0 when more bytes are needed. */
static size_t chunked_len(const char *p, size_t n)
{
    const char *q = p, *end = p + n;
    for (;;) {
        const char *nl = memchr(q, '\n', (size_t)(end - q));
        if (!nl)
            return 0;
        size_t size = strtoul(q, NULL, 16);
        if ((size_t)(end - nl - 1) < size + 2)
            return 0;
        q = nl + 1 + size + 2; /* trailers are not supported */
        if (!size)
            return (size_t)(q - p);
    }
}

/* Consumes whole responses from p; returns the bytes used. */
static size_t http_responses(struct conn *c, const char *p, size_t n, uint64_t now)
{
    size_t used = 0;
    while (used < n) {
        if (c->body_left) {
            size_t k = n - used < c->body_left ? n - used : (size_t)c->body_left;
            c->body_left -= k;
            used += k;
            st.bytes += k;
            if (!c->body_left)
                on_response(c, c->status, now);
            continue;
        }
        const char *head = p + used, *end = memmem(head, n - used, "\r\n\r\n", 4);
        if (!end)
            break;
        end += 4;
        if (n - used < 12 || memcmp(head, "HTTP/1.", 7)) {
            conn_fail(c);
            return n;
        }
        c->status = atoi(head + 9);
        const char *v = find_header(head, end, "content-length");
        size_t body = 0;
        if (v) {
            body = strtoul(v, NULL, 10);
        } else if ((v = find_header(head, end, "transfer-encoding")) && *v == 'c') {
            body = chunked_len(end, n - used - (size_t)(end - head));
            if (!body)
                break; /* wait for the whole of it */
        }
        used += (size_t)(end - head);
        c->body_left = body;
        if (!body)
            on_response(c, c->status, now);
    }
    return used;
}

void send_requests(struct conn *c, unsigned n)
{
    uint64_t now = now_ns();
    char buf[16384];
    size_t len = 0;

    if (opt.mode == ROOMS) { /* every request names another room */
        unsigned k = 0;
        while (k < n && next_room < opt.count && len + 1024 < sizeof buf) {
            len += render_request(buf + len, sizeof buf - len, next_room++, c->id);
            k++;
        }
        n = k;
    }
    for (unsigned i = 0; i < n; i++)
        c->sent_at[(c->ring_head + c->ring_len++) % opt.depth] = now;
    st.sent += n;
    if (!n)
        return;
    if (opt.mode == ROOMS)
        conn_write(c, buf, len);
    else
        conn_write(c, c->request, n * c->request_len);
}

void http_input(struct conn *c, const uint8_t *p, size_t n, uint64_t now)
{
    if (c->in_len) { /* join with what was left over */
        c->in = grow(c->in, &c->in_cap, c->in_len + n);
        memcpy(c->in + c->in_len, p, n);
        p = c->in;
        n = c->in_len += n;
    }
    size_t used = http_responses(c, (const char *)p, n, now);
    if (c->state != OPEN)
        return;
    if (p == c->in) {
        memmove(c->in, c->in + used, n - used);
    } else if (n > used) {
        c->in = grow(c->in, &c->in_cap, n - used);
        memcpy(c->in, p + used, n - used);
    }
    c->in_len = n - used;
    if (c->credit && running) {
        unsigned k = c->credit;
        c->credit = 0;
        send_requests(c, k);
    }
}

void upgrade_input(struct conn *c, const uint8_t *p, size_t n, uint64_t now)
{
    c->in = grow(c->in, &c->in_cap, c->in_len + n + 1);
    memcpy(c->in + c->in_len, p, n);
    c->in_len += n;
    c->in[c->in_len] = 0;
    char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end)
        return;
    if (strncmp((char *)c->in, "HTTP/1.1 101", 12) ||
        !memmem(c->in, c->in_len, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28)) {
        static bool told;
        if (!told)
            fprintf(stderr, "upgrade refused: %.*s\n", 200, (char *)c->in);
        told = true;
        conn_fail(c);
        return;
    }
    size_t rest = c->in_len - (size_t)(end + 4 - (char *)c->in);
    on_open(c);
    if (rest && c->state == OPEN)
        ws_input(c, (uint8_t *)end + 4, rest, now);
    free(c->in);
    c->in = NULL;
    c->in_len = c->in_cap = 0;
}
