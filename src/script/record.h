/* A line of an export: one key with its value, an alarm or a kept self of a room, as JSON. Written and read by
 * `festa storage export` and `import`.
 *
 *   {"party":"main","room":"lobby","key":"count","value":7}
 *   {"party":"main","room":"lobby","alarm":1764434400000,"attempt":0}
 *   {"party":"main","room":"lobby","self":{"turn":3}}
 *
 * What JSON can't say exactly is base64 in a field of another name: a name that is not UTF-8 in roomBytes or
 * keyBytes, a value in valueBytes (selfBytes), encoded as it is stored (value.h). */
#pragma once

#include "base/buf.h"
#include "base/span.h"

#include <stdint.h>

struct record {
    struct span party, room;
    enum record_kind { RECORD_KEY, RECORD_ALARM, RECORD_SELF } kind;
    struct span key;     /* KEY */
    struct span value;   /* KEY, SELF: as it is stored */
    int64_t alarm;       /* ALARM: ms since 1970 */
    uint32_t attempt;    /* ALARM: how often it has failed */
    struct buf owned[4]; /* what record_read has made; the spans lie in there */
};

/* Appends the line, with its end. 0, -ENOMEM, or -EINVAL: the value is damaged, or of a later version. */
int record_write(struct buf *out, const struct record *record) __attribute__((warn_unused_result));

/* Takes a line apart, without its end. 0, -ENOMEM or -EINVAL; then error says in one line what is wrong with it.
 * record_fini in any case. */
int record_read(struct record *record, struct span line, struct buf *error)
    __attribute__((warn_unused_result));

void record_fini(struct record *record);
