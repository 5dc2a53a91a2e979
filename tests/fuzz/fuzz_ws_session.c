/* A client's side of a WebSocket in pieces: the first byte of the input says how long the pieces are. */
#include "fuzz_ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 2)
        client_feed(data + 1, size - 1, data[0] ? data[0] : size, false);
    return 0;
}
