/* Values (value.h) to JSON and back, byte by byte: so the pairs of a table keep their order, which a VM would not
 * keep, and what was written out comes back as it was. The readers of bytes hold each length against what is
 * there, as value_decode.c does. */
#include "script/value_json.h"

#include "script/value.h"

#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <yyjson.h>

/* ---- bytes to JSON ---- */

struct reader {
    const uint8_t *at, *end;
    struct buf *out;
    int depth;
    int rc; /* the first that went wrong */
};

static bool fail(struct reader *r, int rc)
{
    if (r->rc == 0)
        r->rc = rc;
    return false;
}

static bool put(struct reader *r, const char *text, size_t len)
{
    return buf_append(r->out, text, len) == 0 || fail(r, -ENOMEM);
}

int value_json_string(struct buf *json, struct span text)
{
    static const char hex[] = "0123456789abcdef";
    bool valid = utf8_valid(text.ptr, text.len);
    int rc = buf_append(json, "\"", 1);

    for (size_t i = 0; rc == 0 && i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        char escape[6] = {'\\', (char)c, '0', '0', hex[c >> 4], hex[c & 15]};
        size_t run = i;
        while (run < text.len && (unsigned char)text.ptr[run] >= 0x20 && text.ptr[run] != '"' &&
               text.ptr[run] != '\\' && text.ptr[run] != 0x7f && (valid || !(text.ptr[run] & 0x80)))
            run++;
        if (run > i) {
            rc = buf_append(json, text.ptr + i, run - i);
            i = run - 1;
        } else if (c == '"' || c == '\\') {
            rc = buf_append(json, escape, 2);
        } else {
            escape[1] = 'u';
            rc = buf_append(json, escape, sizeof escape);
        }
    }
    return rc ? rc : buf_append(json, "\"", 1);
}

static bool read_varint(struct reader *r, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; r->at < r->end && shift < 64; shift += 7) {
        uint64_t byte = *r->at++;
        if (shift == 63 && byte > 1)
            break;
        *value |= (byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return fail(r, -EINVAL);
}

static bool read_fixed(struct reader *r, size_t n, uint64_t *value)
{
    if ((size_t)(r->end - r->at) < n)
        return fail(r, -EINVAL);
    *value = 0;
    for (size_t i = 0; i < n; i++)
        *value |= (uint64_t)r->at[i] << (8 * i);
    r->at += n;
    return true;
}

static bool put_integer(struct reader *r, uint64_t zigzag, bool quoted)
{
    char text[32];
    int64_t value = (int64_t)(zigzag >> 1 ^ (0 - (zigzag & 1)));
    int len = snprintf(text, sizeof text, quoted ? "\"%" PRId64 "\"" : "%" PRId64, value);
    return put(r, text, (size_t)len);
}

static bool put_float(struct reader *r, bool quoted)
{
    uint64_t bits;
    double value;

    if (!read_fixed(r, sizeof bits, &bits))
        return false;
    memcpy(&value, &bits, sizeof value);
    if (quoted && isnan(value)) /* no key */
        return fail(r, -EINVAL);
    if (!isfinite(value)) {
        const char *text = isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
        return quoted ? value_json_string(r->out, span_of(text)) == 0 || fail(r, -ENOMEM) : put(r, "null", 4);
    }
    yyjson_val number = {.tag = YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL, .uni.f64 = value};
    size_t len = 0;
    char *text = yyjson_val_write(&number, YYJSON_WRITE_NOFLAG, &len);
    bool done = text && (!quoted || put(r, "\"", 1)) && put(r, text, len) && (!quoted || put(r, "\"", 1));
    free(text);
    return done || fail(r, -ENOMEM);
}

static bool put_text(struct reader *r, uint64_t len)
{
    if (len > (size_t)(r->end - r->at))
        return fail(r, -EINVAL);
    struct span text = {(const char *)r->at, (size_t)len};
    r->at += len;
    return value_json_string(r->out, text) == 0 || fail(r, -ENOMEM);
}

/* What is the same for keys, which are quoted, and values; false with nothing wrong: it is something else. */
static bool put_scalar(struct reader *r, uint8_t tag, bool key)
{
    uint64_t n;

    if (tag < VALUE_SHORT)
        return put_integer(r, tag, key);
    if (tag < VALUE_ELEMENTS)
        return put_text(r, tag & VALUE_SHORT_MAX);
    switch (tag) {
    case VALUE_FALSE: return key ? put(r, "\"false\"", 7) : put(r, "false", 5);
    case VALUE_TRUE: return key ? put(r, "\"true\"", 6) : put(r, "true", 4);
    case VALUE_INTEGER: return read_varint(r, &n) && put_integer(r, n, key);
    case VALUE_FLOAT: return put_float(r, key);
    case VALUE_STRING: return read_varint(r, &n) && put_text(r, n);
    default: return false;
    }
}

static bool put_value(struct reader *r);

static bool put_key(struct reader *r)
{
    if (r->at == r->end)
        return fail(r, -EINVAL);
    uint8_t tag = *r->at++;
    return (put_scalar(r, tag, true) || fail(r, -EINVAL)) && put(r, ":", 1);
}

static bool put_table(struct reader *r, uint64_t n_elements, uint64_t n_pairs, bool object)
{
    char key[32];

    object |= n_pairs > 0;
    if (r->depth++ == VALUE_DEPTH_MAX)
        return fail(r, -EINVAL);
    if (!put(r, object ? "{" : "[", 1))
        return false;
    for (uint64_t i = 0; i < n_elements; i++) {
        int len = object ? snprintf(key, sizeof key, "\"%" PRIu64 "\":", i + 1) : 0;
        if ((i > 0 && !put(r, ",", 1)) || !put(r, key, (size_t)len) || !put_value(r))
            return false;
    }
    for (uint64_t i = 0; i < n_pairs; i++) {
        if ((n_elements + i > 0 && !put(r, ",", 1)) || !put_key(r) || !put_value(r))
            return false;
    }
    r->depth--;
    return put(r, object ? "}" : "]", 1);
}

static bool put_tagged_table(struct reader *r, uint8_t tag, bool object)
{
    uint64_t n_elements, n_pairs;

    if (tag >= VALUE_ELEMENTS && tag < VALUE_PAIRS)
        return put_table(r, tag & VALUE_FEW_MAX, 0, object);
    if (tag >= VALUE_PAIRS && tag < VALUE_FALSE)
        return put_table(r, 0, tag & VALUE_FEW_MAX, object);
    size_t width = tag == VALUE_TABLE ? 1 : 4;
    if (tag != VALUE_TABLE && tag != VALUE_LARGE)
        return fail(r, -EINVAL);
    return read_fixed(r, width, &n_elements) && read_fixed(r, width, &n_pairs) &&
           put_table(r, n_elements, n_pairs, object);
}

static bool put_value(struct reader *r)
{
    if (r->at == r->end)
        return fail(r, -EINVAL);
    uint8_t tag = *r->at++;
    if (put_scalar(r, tag, false))
        return true;
    if (r->rc != 0)
        return false;
    if (tag == VALUE_NULL)
        return put(r, "null", 4);
    if (tag != VALUE_ARRAY && tag != VALUE_OBJECT)
        return put_tagged_table(r, tag, false);
    if (r->at == r->end)
        return fail(r, -EINVAL);
    return put_tagged_table(r, *r->at++, tag == VALUE_OBJECT);
}

int value_to_json(struct span bytes, struct buf *json, bool *exact)
{
    struct reader r = {.at = (const uint8_t *)bytes.ptr, .out = json};
    struct buf again = {0};
    size_t before = json->len;
    const char *why;

    if (bytes.len == 0 || bytes.len > INT_MAX || *r.at++ != VALUE_VERSION)
        return -EINVAL;
    r.end = r.at - 1 + bytes.len;
    if (put_value(&r) && r.at != r.end)
        fail(&r, -EINVAL);
    if (r.rc != 0) {
        json->len = before;
        return r.rc;
    }
    struct span text = {(const char *)json->data + before, json->len - before};
    int rc = value_from_json(text, &again, &why);
    *exact = rc == 0 && span_equal((struct span){(const char *)again.data, again.len}, bytes);
    buf_fini(&again);
    if (rc == -ENOMEM)
        json->len = before;
    return rc == -ENOMEM ? rc : 0;
}

/* ---- JSON to bytes ---- */

static int add_tag(struct buf *out, unsigned tag)
{
    uint8_t byte = (uint8_t)tag;
    return buf_append(out, &byte, 1);
}

static int add_varint(struct buf *out, uint64_t value)
{
    int rc = 0;
    for (; rc == 0 && value >= 0x80; value >>= 7)
        rc = add_tag(out, (value & 0x7f) | 0x80);
    return rc ? rc : add_tag(out, (unsigned)value);
}

static int add_fixed(struct buf *out, uint64_t value, size_t n)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add_tag(out, (unsigned)(value >> (8 * i)) & 0xff);
    return rc;
}

static int add_integer(struct buf *out, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (0 - ((uint64_t)value >> 63));
    if (zigzag <= VALUE_SMALL_MAX)
        return add_tag(out, (unsigned)zigzag);
    int rc = add_tag(out, VALUE_INTEGER);
    return rc ? rc : add_varint(out, zigzag);
}

static int add_float(struct buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int rc = add_tag(out, VALUE_FLOAT);
    return rc ? rc : add_fixed(out, bits, sizeof bits);
}

static int add_string(struct buf *out, const char *text, size_t len)
{
    int rc = len <= VALUE_SHORT_MAX ? add_tag(out, VALUE_SHORT | (unsigned)len) : add_tag(out, VALUE_STRING);
    if (rc == 0 && len > VALUE_SHORT_MAX)
        rc = add_varint(out, len);
    return rc ? rc : buf_append(out, text, len);
}

static int add_head(struct buf *out, size_t n_elements, size_t n_pairs)
{
    if (n_pairs == 0 && n_elements <= VALUE_FEW_MAX)
        return add_tag(out, VALUE_ELEMENTS | (unsigned)n_elements);
    if (n_elements == 0 && n_pairs <= VALUE_FEW_MAX)
        return add_tag(out, VALUE_PAIRS | (unsigned)n_pairs);
    size_t width = n_elements <= UINT8_MAX && n_pairs <= UINT8_MAX ? 1 : 4;
    int rc = add_tag(out, width == 1 ? VALUE_TABLE : VALUE_LARGE);
    if (rc == 0)
        rc = add_fixed(out, n_elements, width);
    return rc ? rc : add_fixed(out, n_pairs, width);
}

static int add_value(struct buf *out, yyjson_val *value, int depth);

static int add_array(struct buf *out, yyjson_val *array, int depth)
{
    yyjson_arr_iter iter = yyjson_arr_iter_with(array);
    yyjson_val *item;
    int rc = depth == VALUE_DEPTH_MAX ? -EINVAL : add_head(out, yyjson_arr_size(array), 0);

    while (rc == 0 && (item = yyjson_arr_iter_next(&iter)) != NULL)
        rc = add_value(out, item, depth + 1);
    return rc;
}

/* An empty one is marked, as json.decode does it: it would be an array else. */
static int add_object(struct buf *out, yyjson_val *object, int depth)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    size_t n = yyjson_obj_size(object);
    yyjson_val *key;
    int rc = depth == VALUE_DEPTH_MAX ? -EINVAL : n == 0 ? add_tag(out, VALUE_OBJECT) : 0;

    if (rc == 0)
        rc = add_head(out, 0, n);
    while (rc == 0 && (key = yyjson_obj_iter_next(&iter)) != NULL) {
        rc = add_string(out, yyjson_get_str(key), yyjson_get_len(key));
        if (rc == 0)
            rc = add_value(out, yyjson_obj_iter_get_val(key), depth + 1);
    }
    return rc;
}

static int add_value(struct buf *out, yyjson_val *value, int depth)
{
    switch (yyjson_get_tag(value)) {
    case YYJSON_TYPE_NULL | YYJSON_SUBTYPE_NONE: return add_tag(out, VALUE_NULL);
    case YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_FALSE: return add_tag(out, VALUE_FALSE);
    case YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_TRUE: return add_tag(out, VALUE_TRUE);
    case YYJSON_TYPE_NUM | YYJSON_SUBTYPE_SINT: return add_integer(out, yyjson_get_sint(value));
    case YYJSON_TYPE_NUM | YYJSON_SUBTYPE_UINT:
        return yyjson_get_uint(value) <= INT64_MAX ? add_integer(out, (int64_t)yyjson_get_uint(value))
                                                   : -ERANGE;
    case YYJSON_TYPE_RAW | YYJSON_SUBTYPE_NONE: return -ERANGE; /* as json.decode has it */
    case YYJSON_TYPE_NUM | YYJSON_SUBTYPE_REAL: return add_float(out, yyjson_get_real(value));
    case YYJSON_TYPE_ARR | YYJSON_SUBTYPE_NONE: return add_array(out, value, depth);
    case YYJSON_TYPE_OBJ | YYJSON_SUBTYPE_NONE: return add_object(out, value, depth);
    default: return add_string(out, yyjson_get_str(value), yyjson_get_len(value));
    }
}

int value_from_json(struct span text, struct buf *bytes, const char **why)
{
    yyjson_read_err error = {0};
    size_t before = bytes->len;

    yyjson_doc *doc =
        yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, YYJSON_READ_BIGNUM_AS_RAW, NULL, &error);
    if (!doc) {
        *why = error.msg;
        return error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? -ENOMEM : -EINVAL;
    }
    int rc = add_tag(bytes, VALUE_VERSION);
    if (rc == 0)
        rc = add_value(bytes, yyjson_doc_get_root(doc), 0);
    if (rc == -EINVAL || rc == -ERANGE) {
        *why = rc == -ERANGE ? "a number is out of range"
                             : "more than 128 arrays and objects inside of each other";
        rc = -ERANGE;
    }
    yyjson_doc_free(doc);
    if (rc != 0)
        bytes->len = before;
    return rc;
}
