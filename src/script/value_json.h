/* Stored values as JSON text and back, without a VM: for the operator's commands, which show what rooms have
 * stored, change it and carry it elsewhere. */
#pragma once

#include "base/buf.h"
#include "base/span.h"

#include <stdbool.h>

/* Appends the value as JSON in one line. *exact: value_from_json makes the same bytes of it; else JSON has no way
 * to say all of it (NaN, bytes that are no UTF-8, keys that are no strings, some marks of json.array and
 * json.object), and what was appended is for people. 0, -EINVAL when the bytes are damaged or of a later version,
 * or -ENOMEM; then nothing was appended. */
int value_to_json(struct span bytes, struct buf *json, bool *exact) __attribute__((warn_unused_result));

/* Appends the bytes of the value that a JSON text is: as party.storage:put(key, json.decode(text, { null =
 * json.null })) would store it, with the pairs of objects in the order of the text. Numbers with a fraction or an
 * exponent are floats, others integers. 0, -ENOMEM, -EINVAL: the text is no JSON, or -ERANGE: it is of no value that
 * can be stored; then nothing was appended, and of the last two *why says what is wrong. */
int value_from_json(struct span text, struct buf *bytes, const char **why)
    __attribute__((warn_unused_result));

/* Appends a JSON string of valid UTF-8 text; of other text, for people, one that shows its other bytes as the
 * characters of the same number. 0 or -ENOMEM. */
int value_json_string(struct buf *json, struct span text) __attribute__((warn_unused_result));
