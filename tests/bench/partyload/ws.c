/*
 * ws - WebSocket input: a streaming parser that neither copies nor collects a payload.
 */
#include "load.h"

#include <string.h>

void send_close(struct conn *c)
{
    uint8_t f[8] = {0x88,        0x82,        mask_key[0],        mask_key[1],
                    mask_key[2], mask_key[3], 0x03 ^ mask_key[0], 0xe8 ^ mask_key[1]};
    if (c->state == OPEN) {
        conn_write(c, f, sizeof f);
        if (c->state == OPEN) {
            n_open--;
            c->state = CLOSING;
        }
    }
}

static void pong(struct conn *c)
{
    uint8_t f[6 + 125];
    f[0] = 0x8a;
    f[1] = 0x80 | (uint8_t)c->ctl_len;
    memcpy(f + 2, mask_key, 4);
    for (unsigned i = 0; i < c->ctl_len; i++)
        f[6 + i] = c->ctl[i] ^ mask_key[i & 3];
    conn_write(c, f, 6 + c->ctl_len);
}

/* Length of the frame header that starts at h, or 0 when n bytes do not tell. */
static unsigned header_len(const uint8_t *h, size_t n)
{
    if (n < 2)
        return 0;
    unsigned len = h[1] & 127;
    return 2 + (len == 126 ? 2 : len == 127 ? 8 : 0);
}

static void begin_frame(struct conn *c, const uint8_t *h)
{
    unsigned len = h[1] & 127;
    c->fin = h[0] & 0x80;
    c->opcode = h[0] & 15;
    if (h[1] & 0x80 || h[0] & 0x70) /* a server must not mask; no extensions */
        st.bad++;
    if (len < 126) {
        c->left = len;
    } else if (len == 126) {
        c->left = (uint64_t)h[2] << 8 | h[3];
    } else {
        c->left = 0;
        for (int i = 2; i < 10; i++)
            c->left = c->left << 8 | h[i];
    }
    c->in_payload = true;
    c->ctl_len = 0;
    if (c->opcode == 1 || c->opcode == 2) {
        c->msg_len = c->cap_len = 0;
        c->bad = false;
        if (c->opcode != (opt.binary ? 2 : 1))
            st.other++;
    }
}

static void take_payload(struct conn *c, const uint8_t *p, size_t n)
{
    if (c->opcode >= 8) {
        size_t room = sizeof c->ctl - c->ctl_len, k = n < room ? n : room;
        memcpy(c->ctl + c->ctl_len, p, k);
        c->ctl_len += (unsigned)k;
    } else {
        if (c->cap_len < CAPTURE) {
            size_t room = CAPTURE - c->cap_len, k = n < room ? n : room;
            memcpy(c->cap + c->cap_len, p, k);
            c->cap_len += (unsigned)k;
        }
        if (opt.verify) { /* everything after our head must match */
            size_t skip = c->msg_len < HEAD ? HEAD - c->msg_len : 0;
            if (c->msg_len + n > opt.size ||
                (n > skip && memcmp(p + skip, plain + c->msg_len + skip, n - skip)))
                c->bad = true;
        }
        c->msg_len += n;
    }
    c->left -= n;
}

/* Returns false when the connection is gone. */
static bool end_frame(struct conn *c, uint64_t now)
{
    c->in_payload = false;
    if (c->opcode == 9) {
        pong(c);
    } else if (c->opcode == 8) {
        if (c->state == OPEN) { /* the server began it: answer */
            send_close(c);
            if (c->state == CLOSING)
                st.errors++;
        }
        if (opt.mode == CHURN && c->state == CLOSING) {
            on_closed_by_server(c);
            return false;
        }
    } else if (c->opcode <= 2 && c->fin) {
        on_message(c, now);
    }
    return c->state == OPEN || c->state == CLOSING;
}

void ws_input(struct conn *c, const uint8_t *p, size_t n, uint64_t now)
{
    while (n) {
        if (!c->in_payload) {
            unsigned need;
            if (!c->hdr_len && (need = header_len(p, n)) && n >= need) {
                begin_frame(c, p);
                p += need;
                n -= need;
            } else { /* a header cut by the read boundary */
                c->hdr[c->hdr_len++] = *p++;
                n--;
                need = header_len(c->hdr, c->hdr_len);
                if (!need || c->hdr_len < need)
                    continue;
                c->hdr_len = 0;
                begin_frame(c, c->hdr);
            }
        }
        size_t k = c->left < n ? (size_t)c->left : n;
        if (k)
            take_payload(c, p, k);
        p += k;
        n -= k;
        if (!c->left && !end_frame(c, now))
            return;
    }
    if (c->credit && running) {
        unsigned k = c->credit;
        c->credit = 0;
        send_messages(c, k, 0);
    }
}
