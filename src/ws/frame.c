#include "ws/frame.h"

#include <errno.h>
#include <string.h>

#define FIN 0x80u
#define RESERVED 0x70u
#define COMPRESSED 0x40u /* RSV1 */
#define OPCODE 0x0fu
#define MASKED 0x80u
#define LENGTH 0x7fu
#define LENGTH_16 126u /* two bytes of length follow */
#define LENGTH_64 127u /* eight do */

static uint64_t read_big_endian(const uint8_t *data, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | data[i];
    return value;
}

static void write_big_endian(uint8_t *data, size_t len, uint64_t value)
{
    for (size_t i = len; i-- > 0; value >>= 8)
        data[i] = (uint8_t)value;
}

/* Bytes of length that follow the first one. */
static size_t extended_len(unsigned length)
{
    return length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
}

size_t ws_frame_head(uint8_t out[WS_HEAD_MAX], enum ws_opcode opcode, bool compressed, uint64_t payload_len)
{
    unsigned length = payload_len > UINT16_MAX ? LENGTH_64 : LENGTH_16;
    if (payload_len < LENGTH_16)
        length = (unsigned)payload_len;
    size_t extended = extended_len(length);

    out[0] = (uint8_t)(FIN | (compressed ? COMPRESSED : 0) | (unsigned)opcode);
    out[1] = (uint8_t)length;
    write_big_endian(out + 2, extended, payload_len);
    return 2 + extended;
}

size_t ws_frame_edge(const uint8_t *frames, size_t sent, size_t len)
{
    size_t at = 0;

    while (at < sent) {
        if (len - at < 2)
            return len;
        unsigned length = frames[at + 1] & LENGTH;
        size_t extended = extended_len(length), rest = len - at - 2;
        if (rest < extended)
            return len;
        uint64_t payload_len = extended ? read_big_endian(frames + at + 2, extended) : length;
        if (payload_len >= rest - extended)
            return len;
        at += 2 + extended + (size_t)payload_len;
    }
    return at;
}

static const char *first_byte_error(uint8_t byte, bool deflate)
{
    unsigned opcode = byte & OPCODE;
    bool begins_message = opcode == WS_TEXT || opcode == WS_BINARY;

    if (byte & (deflate && begins_message ? RESERVED & ~COMPRESSED : RESERVED))
        return "Reserved bits are set";
    if (opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE))
        return "Opcode is reserved";
    if (ws_is_control(opcode) && !(byte & FIN))
        return "Control frame is fragmented";
    return NULL;
}

static const char *second_byte_error(uint8_t byte, bool control)
{
    if (!(byte & MASKED))
        return "Frame is not masked";
    if (control && (byte & LENGTH) > WS_CONTROL_MAX)
        return "Control frame is longer than 125 bytes";
    return NULL;
}

static const char *length_error(uint64_t payload_len, size_t extended)
{
    if (payload_len >> 63)
        return "Length has its highest bit set";
    if ((extended == 8 && payload_len <= UINT16_MAX) || (extended == 2 && payload_len < LENGTH_16))
        return "Length is not in its shortest form";
    return NULL;
}

int ws_head_read(struct ws_head *head, const uint8_t *data, size_t len, bool deflate, const char **error)
{
    if (len >= 1 && (*error = first_byte_error(data[0], deflate)))
        return -EPROTO;
    if (len < 2)
        return 0;
    head->fin = (data[0] & FIN) != 0;
    head->compressed = (data[0] & COMPRESSED) != 0;
    head->opcode = data[0] & OPCODE;
    if ((*error = second_byte_error(data[1], ws_is_control(head->opcode))))
        return -EPROTO;

    size_t extended = extended_len(data[1] & LENGTH);
    if (len < 2 + extended)
        return 0;
    head->payload_len = extended ? read_big_endian(data + 2, extended) : data[1] & LENGTH;
    if ((*error = length_error(head->payload_len, extended)))
        return -EPROTO;

    if (len < 2 + extended + sizeof head->mask)
        return 0;
    memcpy(head->mask, data + 2 + extended, sizeof head->mask);
    return (int)(2 + extended + sizeof head->mask);
}

bool ws_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

bool ws_close_code_sendable(unsigned code)
{
    return ws_close_code_valid(code) && code != 1002;
}
