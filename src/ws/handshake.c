#include "ws/handshake.h"

#include "base/check.h"

#include <openssl/evp.h>

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
