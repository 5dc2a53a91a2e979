#include "ws/handshake.h"

#include "base/check.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

#define PADDING 2 /* 16 bytes are 22 digits and "==" */

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 §1.3 */

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* The last digit has four bits to spare; nobody checks that they are 0, so clients exist that
 * take 22 digits at random. */
bool ws_key_valid(struct span key)
{
    if (key.len != WS_KEY_LEN || key.ptr[WS_KEY_LEN - 2] != '=' || key.ptr[WS_KEY_LEN - 1] != '=')
        return false;
    for (size_t i = 0; i < WS_KEY_LEN - PADDING; i++) {
        if (!is_base64(key.ptr[i]))
            return false;
    }
    return true;
}

void ws_accept_key(struct span key, char out[WS_ACCEPT_LEN + 1])
{
    char text[WS_KEY_LEN + sizeof guid - 1];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    CHECK(key.len == WS_KEY_LEN);
    memcpy(text, key.ptr, WS_KEY_LEN);
    memcpy(text + WS_KEY_LEN, guid, sizeof guid - 1);
    CHECK(EVP_Digest(text, sizeof text, digest, &len, EVP_sha1(), NULL) == 1);
    CHECK(EVP_EncodeBlock((unsigned char *)out, digest, (int)len) == WS_ACCEPT_LEN);
}

/* ---- Sec-WebSocket-Extensions ---- */

#define WINDOW_MIN 8u
#define WINDOW_MAX 15u
#define WINDOW_OURS 9u /* the least that we can compress for (ws/deflate.c) */

#define VALUE_MAX 16u /* bytes of a quoted value that are kept; no parameter of ours has so many */

/* One parameter of an offer. */
struct param {
    struct span name, value; /* value.ptr NULL: it has none */
    char unquoted[VALUE_MAX];
};

static bool is_token_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip_blanks(struct span *rest)
{
    while (rest->len && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t'))
        *rest = (struct span){rest->ptr + 1, rest->len - 1};
}

/* Passes over c and the blanks around it; false: something else comes. */
static bool take_char(struct span *rest, char c)
{
    skip_blanks(rest);
    if (!rest->len || rest->ptr[0] != c)
        return false;
    *rest = (struct span){rest->ptr + 1, rest->len - 1};
    skip_blanks(rest);
    return true;
}

/* A token at the beginning of the rest; false: there is none. */
static bool take_token(struct span *rest, struct span *token)
{
    size_t len = 0;

    while (len < rest->len && is_token_char(rest->ptr[len]))
        len++;
    *token = (struct span){rest->ptr, len};
    *rest = (struct span){rest->ptr + len, rest->len - len};
    return len > 0;
}

/* A token in quotes, behind the first of them; false: it is not (RFC 6455 §9.1). */
static bool take_quoted(struct span *rest, struct param *param)
{
    size_t at = 0, len = 0;

    for (; at < rest->len && rest->ptr[at] != '"'; at++) {
        if (rest->ptr[at] == '\\' && ++at == rest->len)
            return false;
        if (!is_token_char(rest->ptr[at]))
            return false;
        if (len < VALUE_MAX)
            param->unquoted[len] = rest->ptr[at];
        len++;
    }
    if (at == rest->len || len == 0)
        return false;
    *rest = (struct span){rest->ptr + at + 1, rest->len - at - 1};
    param->value = (struct span){param->unquoted, len < VALUE_MAX ? len : VALUE_MAX};
    return true;
}

static bool take_param(struct span *rest, struct param *param)
{
    param->value = (struct span){NULL, 0};
    if (!take_token(rest, &param->name))
        return false;
    if (!take_char(rest, '='))
        return true;
    if (rest->len && rest->ptr[0] == '"') {
        *rest = (struct span){rest->ptr + 1, rest->len - 1};
        return take_quoted(rest, param);
    }
    return take_token(rest, &param->value);
}

/* The bits of a window: 8 to 15 in decimal, without leading zeros (RFC 7692 §7.1.2). 0: it is not. */
static uint8_t window_bits(struct span text)
{
    unsigned bits = 0;

    if (text.len < 1 || text.len > 2 || text.ptr[0] == '0')
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        bits = bits * 10 + (unsigned)(text.ptr[i] - '0');
    }
    return bits >= WINDOW_MIN && bits <= WINDOW_MAX ? (uint8_t)bits : 0;
}

/* One offer of permessage-deflate. */
struct offer {
    struct ws_deflate deflate;
    bool server_window, client_window, server_takeover, client_takeover; /* seen already */
};

static bool first_time(bool *seen)
{
    bool first = !*seen;
    *seen = true;
    return first;
}

/* Can an offer with this parameter be met? */
static bool accept_param(struct offer *offer, const struct param *param)
{
    struct span name = param->name, value = param->value;

    if (span_equal(name, SPAN("server_no_context_takeover")))
        return !value.ptr && first_time(&offer->server_takeover);
    if (span_equal(name, SPAN("client_no_context_takeover")))
        return !value.ptr && first_time(&offer->client_takeover);
    if (span_equal(name, SPAN("server_max_window_bits"))) {
        offer->deflate.server_window = window_bits(value);
        return offer->deflate.server_window >= WINDOW_OURS && first_time(&offer->server_window);
    }
    if (span_equal(name, SPAN("client_max_window_bits"))) {
        offer->deflate.client_window = value.ptr ? window_bits(value) : 0;
        return (!value.ptr || offer->deflate.client_window) && first_time(&offer->client_window);
    }
    return false;
}

/* One extension of the list, and agrees to it if it can. -EINVAL as below. */
static int take_extension(struct span *rest, struct ws_deflate *agreed)
{
    struct offer offer = {0};
    struct param param;
    struct span name;

    if (!take_token(rest, &name))
        return -EINVAL;
    bool good = span_equal(name, SPAN("permessage-deflate"));
    while (take_char(rest, ';')) {
        if (!take_param(rest, &param))
            return -EINVAL;
        good = good && accept_param(&offer, &param);
    }
    if (good && !agreed->window) {
        *agreed = offer.deflate;
        agreed->window = agreed->server_window ? agreed->server_window : WINDOW_MAX;
    }
    return 0;
}

int ws_deflate_negotiate(struct ws_deflate *agreed, struct span offers)
{
    struct span rest = span_trim(offers);

    while (take_char(&rest, ',')) /* a list may have empty elements (RFC 9110 §5.6.1.2) */
        ;
    while (rest.len > 0) {
        if (take_extension(&rest, agreed) != 0)
            return -EINVAL;
        if (rest.len > 0 && !take_char(&rest, ','))
            return -EINVAL;
        while (take_char(&rest, ','))
            ;
    }
    return 0;
}

void ws_deflate_answer(const struct ws_deflate *agreed, char out[WS_DEFLATE_ANSWER_MAX])
{
    int len = 0;

    out[0] = '\0';
    if (!agreed->window)
        return;
    len = snprintf(out, WS_DEFLATE_ANSWER_MAX,
                   "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    if (agreed->server_window)
        len += snprintf(out + len, WS_DEFLATE_ANSWER_MAX - (size_t)len, "; server_max_window_bits=%d",
                        agreed->server_window);
    if (agreed->client_window)
        snprintf(out + len, WS_DEFLATE_ANSWER_MAX - (size_t)len, "; client_max_window_bits=%d",
                 agreed->client_window);
}
