/*
 * floor - the least work that a single-threaded epoll server can do on this kernel: what the benchmark
 * holds the others against. No server to use: it trusts its client, and memory to be there.
 *
 *   floor PORT [write|cork]
 *     write  one send() for each received message and member (the naive limit)
 *     cork   output is collected for each socket and sent once per loop iteration
 *
 * HTTP: counts blank lines, answers with a fixed response. WebSocket: no UTF-8 check, no limits, no
 * state but a list of members for each path; a path with "/echo/" answers the sender alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME_MAX_LEN 63

struct room {
    char name[NAME_MAX_LEN + 1];
    bool echo;
    struct conn **m; /* members */
    unsigned n, cap;
    struct room *next;
};

struct conn {
    int fd;
    bool ws, out_watch, dirty;
    struct room *room;
    unsigned slot;
    uint8_t *in;
    size_t in_len, in_cap;
    uint8_t *out;
    size_t out_off, out_len, out_cap;
};

static struct room *rooms[65536];
static struct conn **dirty; /* sockets with output of this iteration */
static unsigned n_dirty, cap_dirty;
static int ep;
static bool cork;

static const char RESP[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 48\r\n\r\n"
                           "{\"room\":\"room-0\",\"connections\":0,\"messages\":0  }";
static const char UP[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static struct room *room_get(const char *p, size_t n)
{
    uint32_t h = 5381;
    if (n > NAME_MAX_LEN)
        n = NAME_MAX_LEN;
    for (size_t i = 0; i < n; i++)
        h = h * 33 + (uint8_t)p[i];
    struct room **r = &rooms[h & 65535];
    for (; *r; r = &(*r)->next)
        if (!strncmp((*r)->name, p, n) && !(*r)->name[n])
            return *r;
    *r = calloc(1, sizeof **r);
    memcpy((*r)->name, p, n);
    (*r)->echo = strstr((*r)->name, "/echo/") != NULL;
    return *r;
}

static void conn_free(struct conn *c)
{
    if (c->room && c->ws) {
        struct room *r = c->room;
        r->m[c->slot] = r->m[--r->n];
        r->m[c->slot]->slot = c->slot;
    }
    if (c->dirty)
        for (unsigned i = 0; i < n_dirty; i++)
            if (dirty[i] == c)
                dirty[i] = dirty[--n_dirty];
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

static void watch(struct conn *c, bool o)
{
    if (c->out_watch == o)
        return;
    c->out_watch = o;
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd,
              &(struct epoll_event){.events = EPOLLIN | (o ? EPOLLOUT : 0), .data.ptr = c});
}

static void append(struct conn *c, const void *p, size_t n)
{
    if (c->out_len + n > c->out_cap) {
        c->out_cap = (c->out_len + n) * 2;
        c->out = realloc(c->out, c->out_cap);
    }
    memcpy(c->out + c->out_len, p, n);
    c->out_len += n;
}

static void flush(struct conn *c)
{
    if (c->out_len == c->out_off)
        return;
    ssize_t w = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);
    if (w > 0)
        c->out_off += (size_t)w;
    if (c->out_off == c->out_len) {
        c->out_off = c->out_len = 0;
        watch(c, false);
        if (c->out_cap > 65536) {
            free(c->out);
            c->out = NULL;
            c->out_cap = 0;
        }
    } else {
        watch(c, true);
    }
}

static void put(struct conn *c, const void *p, size_t n)
{
    if (cork && n < 65536) {
        append(c, p, n);
        if (!c->dirty) {
            c->dirty = true;
            if (n_dirty == cap_dirty)
                dirty = realloc(dirty, sizeof *dirty * (cap_dirty = cap_dirty * 2 + 64));
            dirty[n_dirty++] = c;
        }
        return;
    }
    if (c->out_len == c->out_off) {
        ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);
        if (w == (ssize_t)n)
            return;
        if (w < 0)
            w = 0;
        append(c, (const uint8_t *)p + w, n - (size_t)w);
        watch(c, true);
    } else {
        append(c, p, n);
    }
}

/* Answers the whole frames in p; returns the bytes used, or -1 to close. */
static ssize_t ws_frames(struct conn *c, uint8_t *p, size_t n)
{
    size_t used = 0;
    while (n - used >= 6) {
        uint8_t *f = p + used;
        size_t h = 2, len = f[1] & 127;
        if (len == 126) {
            h = 4;
            if (n - used < 8)
                break;
            len = (size_t)f[2] << 8 | f[3];
        } else if (len == 127) {
            h = 10;
            if (n - used < 14)
                break;
            len = 0;
            for (int i = 2; i < 10; i++)
                len = len << 8 | f[i];
        }
        if (n - used < h + 4 + len)
            break;
        uint64_t k;
        uint8_t *d = f + h + 4;
        memcpy(&k, f + h, 4);
        memcpy((uint8_t *)&k + 4, f + h, 4);
        size_t i = 0;
        for (; i + 8 <= len; i += 8) {
            uint64_t v;
            memcpy(&v, d + i, 8);
            v ^= k;
            memcpy(d + i, &v, 8);
        }
        for (; i < len; i++)
            d[i] ^= ((uint8_t *)&k)[i & 7];
        used += h + 4 + len;
        if ((f[0] & 15) == 8) {
            uint8_t cl[4] = {0x88, 2, d[0], d[1]};
            send(c->fd, cl, len ? 4 : 2, MSG_NOSIGNAL);
            return -1;
        }
        uint8_t op = f[0] & 15;
        uint8_t *s = d - h;
        memmove(s, f, h);
        s[0] = op == 9 ? 0x8a : 0x80 | op;
        s[1] &= 127;
        if (c->room->echo || op > 2)
            put(c, s, h + len);
        else
            for (unsigned j = 0; j < c->room->n; j++)
                put(c->room->m[j], s, h + len);
    }
    return (ssize_t)used;
}

/* Answers the whole requests in p, up to an upgrade; returns the bytes used, or -1 to close. */
static ssize_t http(struct conn *c, char *p, size_t n)
{
    static char batch[65536];
    size_t used = 0, len = 0;
    while (used < n) {
        char *e = memmem(p + used, n - used, "\r\n\r\n", 4);
        if (!e)
            break;
        size_t body = 0;
        char *q = p + used;
        if (*q == 'P') {
            char *cl = memmem(q, (size_t)(e - q), "ength: ", 7);
            if (cl)
                body = strtoul(cl + 7, NULL, 10);
        }
        if ((size_t)(p + n - e - 4) < body)
            break;
        used = (size_t)(e + 4 - p) + body;
        if (memmem(q, (size_t)(e - q), "pgrade: websocket", 17)) {
            char *path = q + 4, *end = memchr(path, ' ', (size_t)(e - path));
            if (!end)
                return -1;
            struct room *r = c->room = room_get(path, (size_t)(end - path));
            if (r->n == r->cap)
                r->m = realloc(r->m, sizeof *r->m * (r->cap = r->cap * 2 + 4));
            c->slot = r->n;
            r->m[r->n++] = c;
            c->ws = true;
            send(c->fd, UP, sizeof UP - 1, MSG_NOSIGNAL);
            return (ssize_t)used;
        }
        if (len + sizeof RESP > sizeof batch) {
            put(c, batch, len);
            len = 0;
        }
        memcpy(batch + len, RESP, sizeof RESP - 1);
        len += sizeof RESP - 1;
    }
    if (len)
        put(c, batch, len);
    return (ssize_t)used;
}

static void readable(struct conn *c)
{
    static uint8_t buf[512 * 1024 + 1];
    ssize_t n = recv(c->fd, buf, sizeof buf - 1, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            conn_free(c);
        return;
    }
    uint8_t *p = buf;
    size_t len = (size_t)n;
    if (c->in_len) {
        if (c->in_len + len > c->in_cap) {
            c->in_cap = (c->in_len + len) * 2;
            c->in = realloc(c->in, c->in_cap);
        }
        memcpy(c->in + c->in_len, buf, len);
        p = c->in;
        len = c->in_len += len;
    }
    ssize_t used = c->ws ? ws_frames(c, p, len) : http(c, (char *)p, len);
    if (used < 0) {
        conn_free(c);
        return;
    }
    size_t rest = len - (size_t)used;
    if (!rest) {
        free(c->in);
        c->in = NULL;
        c->in_len = c->in_cap = 0;
        return;
    }
    if (p == c->in) {
        memmove(c->in, c->in + used, rest);
    } else {
        if (rest > c->in_cap) {
            c->in_cap = rest;
            c->in = realloc(c->in, rest);
        }
        memcpy(c->in, p + used, rest);
    }
    c->in_len = rest;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: floor PORT [write|cork]\n");
        return 2;
    }
    int one = 1, ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(argv[1])),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    cork = argc > 2 && !strcmp(argv[2], "cork");
    signal(SIGPIPE, SIG_IGN);
    alarm(3600); /* it stops by itself */
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(ls, (struct sockaddr *)&a, sizeof a) || listen(ls, 4096)) {
        perror("bind");
        return 1;
    }
    ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &(struct epoll_event){.events = EPOLLIN});
    static struct epoll_event ev[1024];
    for (;;) {
        int n = epoll_wait(ep, ev, 1024, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            if (!c) {
                for (int fd; (fd = accept4(ls, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    c = calloc(1, sizeof *c);
                    c->fd = fd;
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
                }
            } else {
                if (ev[i].events & EPOLLOUT)
                    flush(c);
                if (ev[i].events & ~(uint32_t)EPOLLOUT)
                    readable(c);
            }
        }
        for (unsigned i = 0; i < n_dirty; i++) {
            dirty[i]->dirty = false;
            flush(dirty[i]);
        }
        n_dirty = 0;
    }
}
