/* Values of Lua as bytes and back, for what outlives their VM or leaves it: storage, a kept self, a
 * connection's state, calls between rooms.
 *
 * A value is a boolean, an integer, a float, a string, json.null, or a table of these; keys are booleans,
 * integers, floats and strings. It comes back as it went in, each bit of a float and each byte of a string, but
 * that a table which is found in two places becomes two tables. A table with a metatable is no value, since its
 * methods could not come along, unless that is one of json's marks (json.array, json.object), which comes back.
 * Tables are read raw: no code of the script's runs.
 *
 * The same table, not changed meanwhile, gives the same bytes, since pairs are written in the order in which
 * lua_next finds them. Equal tables that were made differently may give different bytes.
 *
 * The bytes: VALUE_VERSION, then one value. A value is a tag, and what belongs to it:
 *
 *   00..3f  an integer from -32 to 31, as its zigzag (0, -1, 1, -2, …)
 *   40..7f  a string of 0 to 63 bytes: the bytes
 *   80..8f  a table of 0 to 15 elements
 *   90..9f  a table of 0 to 15 pairs
 *   a0, a1  false, true
 *   a2      json.null
 *   a3      an integer: its zigzag as varint
 *   a4      a float: the 8 bytes of its IEEE 754 double, lowest first
 *   a5      a string: its length as varint; the bytes
 *   a6      a table: elements and pairs, a byte each
 *   a7      a table: elements and pairs, 4 bytes each, lowest first
 *   a8, a9  json.array, json.object: marks the table that follows
 *
 * Elements are the values of the keys 1, 2, 3, …; pairs are a key and a value each, and follow them. The zigzag
 * of n is 2n, or -2n - 1 when n is negative. A varint has 7 bits in each byte, lowest first, and the top bit in
 * all but the last. The writer takes the shortest form; a reader takes any.
 *
 * Bytes of an old version stay readable: a change of the format gets another VALUE_VERSION. */
#pragma once

#include "base/span.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#define VALUE_VERSION 1u
#define VALUE_DEPTH_MAX 128 /* tables inside of each other, both ways */

enum value_tag {
    VALUE_SMALL = 0x00,
    VALUE_SHORT = 0x40,
    VALUE_ELEMENTS = 0x80,
    VALUE_PAIRS = 0x90,
    VALUE_FALSE = 0xa0,
    VALUE_TRUE,
    VALUE_NULL,
    VALUE_INTEGER,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_TABLE,
    VALUE_LARGE,
    VALUE_ARRAY,
    VALUE_OBJECT,
};

#define VALUE_SMALL_MAX 0x3fu /* the largest zigzag, */
#define VALUE_SHORT_MAX 0x3fu /* length, */
#define VALUE_FEW_MAX 0x0fu   /* and number of elements or pairs that lies in the tag */
#define VALUE_VARINT_MAX 10   /* bytes */

/* What is said of a value that can't be encoded: "can't be stored: value.players[3].run is a function". */
struct value_terms {
    const char *refusal;          /* "can't be stored" */
    const char *name;             /* of the value: "value" */
    int key;                      /* index of the key under which it lies in what has the name; 0: none */
    const char *limit;            /* the name of the limit: "storageValue"; NULL: it has none */
    size_t limit_bytes;           /* of the encoding, all included; at most INT_MAX count */
    size_t (*more)(lua_State *L); /* asked for another limit, once, when that is too small; NULL: none */
    bool bare;                    /* the metatable of the value itself is left out: self's */
};

/* Encodes the value at index. The bytes are the thread's, and stay until the next value is encoded there.
 * Raises with the path to what is no value, to a cycle or to what is too deep; when it is too large; when there
 * is no memory. Leaves the stack as it was. */
struct span value_encode(lua_State *L, int index, const struct value_terms *terms);

/* Pushes the value that the bytes are, whatever they are. They have to stay meanwhile (garbage may be
 * collected). 0, or -EINVAL when they are damaged or of a later version: then nothing is pushed. Takes memory
 * in proportion to their number; raises when there is none. */
int value_decode(lua_State *L, struct span bytes) __attribute__((warn_unused_result));
