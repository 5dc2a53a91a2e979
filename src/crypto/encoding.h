/* Bytes as text and back: base64 and base64url (RFC 4648 §4, §5), hexadecimal digits (§8).
 *
 * Reading is strict: each sequence of bytes has one text (but that hexadecimal digits may be in upper case), so
 * what was compared or signed as text can't come in another spelling. No blanks, no line ends, the bits that
 * the last digit has to spare are 0. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum encoding {
    ENCODING_BASE64,    /* '+' and '/', filled up with '=' */
    ENCODING_BASE64URL, /* '-' and '_', never '=', as JOSE has it (RFC 7515 §2) */
    ENCODING_HEX,       /* written in lower case */
};

/* Characters that len bytes become. SIZE_MAX: too many. */
size_t encoding_text_len(enum encoding encoding, size_t len);

/* Bytes that so many characters become, at most. */
size_t encoding_bytes_max(enum encoding encoding, size_t len);

/* Writes encoding_text_len characters; no NUL. */
void encoding_write(enum encoding encoding, const void *data, size_t len, char *out);

/* Reads the text into out, which has room for encoding_bytes_max. NULL and the number of bytes in *out_len, or
 * what is wrong with the text, a constant. */
const char *encoding_read(enum encoding encoding, const char *text, size_t len, uint8_t *out, size_t *out_len)
    __attribute__((warn_unused_result));
