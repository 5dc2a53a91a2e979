#include "base/address.h"

#include <arpa/inet.h>

#define MAPPED_LEN 12u /* bytes in front of an IPv4 address */

static const uint8_t mapped[MAPPED_LEN] = {[10] = 0xff, [11] = 0xff};

bool address_parse(struct span text, struct address *address)
{
    char copy[ADDRESS_TEXT_MAX];

    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (strchr(copy, ':'))
        return inet_pton(AF_INET6, copy, address->bytes) == 1;
    memcpy(address->bytes, mapped, MAPPED_LEN);
    return inet_pton(AF_INET, copy, address->bytes + MAPPED_LEN) == 1;
}

void address_format(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
    if (memcmp(address->bytes, mapped, MAPPED_LEN) == 0)
        inet_ntop(AF_INET, address->bytes + MAPPED_LEN, out, ADDRESS_TEXT_MAX);
    else
        inet_ntop(AF_INET6, address->bytes, out, ADDRESS_TEXT_MAX);
}

/* A number of one to three digits. */
static bool parse_bits(struct span text, unsigned most, uint8_t *bits)
{
    unsigned value = 0;

    if (text.len == 0 || text.len > 3)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *bits = (uint8_t)value;
    return value <= most;
}

bool address_range_parse(struct span text, struct address_range *range)
{
    const char *slash = memchr(text.ptr, '/', text.len);
    struct span address = {text.ptr, slash ? (size_t)(slash - text.ptr) : text.len};
    bool v6 = memchr(text.ptr, ':', text.len) != NULL;

    if (!address_parse(address, &range->first))
        return false;
    range->bits = 128;
    if (!slash)
        return true;
    if (!parse_bits((struct span){slash + 1, text.len - address.len - 1}, v6 ? 128 : 32, &range->bits))
        return false;
    if (!v6)
        range->bits = (uint8_t)(range->bits + MAPPED_LEN * 8);
    return true;
}

bool address_in_range(const struct address *address, const struct address_range *range)
{
    size_t whole = range->bits / 8;
    unsigned rest = range->bits % 8;

    if (memcmp(address->bytes, range->first.bytes, whole) != 0)
        return false;
    return rest == 0 || (address->bytes[whole] ^ range->first.bytes[whole]) >> (8 - rest) == 0;
}
