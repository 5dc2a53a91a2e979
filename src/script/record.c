/* Lines of an export. */
#include "script/record.h"

#include "script/value.h"
#include "script/value_json.h"

#include "base/utf8.h"
#include "crypto/encoding.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <yyjson.h>

static struct span span_in(const struct buf *buf)
{
    return (struct span){buf->data ? (const char *)buf->data : "", buf->len};
}

/* ---- writing ---- */

static int write_base64(struct buf *out, struct span bytes)
{
    size_t len = encoding_text_len(ENCODING_BASE64, bytes.len);
    int rc = len > INT_MAX ? -EINVAL : buf_reserve(out, len + 2);
    if (rc)
        return rc;
    out->data[out->len++] = '"';
    encoding_write(ENCODING_BASE64, bytes.ptr, bytes.len, (char *)out->data + out->len);
    out->len += len;
    out->data[out->len++] = '"';
    return 0;
}

static int write_name(struct buf *out, const char *name, struct span text)
{
    bool plain = utf8_valid(text.ptr, text.len);
    int rc = buf_printf(out, ",\"%s%s\":", name, plain ? "" : "Bytes");
    if (rc)
        return rc;
    return plain ? value_json_string(out, text) : write_base64(out, text);
}

static int write_value(struct buf *out, const char *name, struct span value)
{
    size_t before = out->len;
    bool exact;

    int rc = buf_printf(out, ",\"%s\":", name);
    if (rc == 0)
        rc = value_to_json(value, out, &exact);
    if (rc || exact)
        return rc;
    out->len = before;
    rc = buf_printf(out, ",\"%sBytes\":", name);
    return rc ? rc : write_base64(out, value);
}

static int write_fields(struct buf *out, const struct record *record)
{
    int rc = buf_append(out, "{\"party\":", 9);
    if (rc == 0)
        rc = value_json_string(out, record->party);
    if (rc == 0)
        rc = write_name(out, "room", record->room);
    if (rc)
        return rc;
    switch (record->kind) {
    case RECORD_KEY:
        rc = write_name(out, "key", record->key);
        return rc ? rc : write_value(out, "value", record->value);
    case RECORD_ALARM:
        return buf_printf(out, ",\"alarm\":%" PRId64 ",\"attempt\":%" PRIu32, record->alarm, record->attempt);
    case RECORD_SELF: return write_value(out, "self", record->value);
    }
    return -EINVAL;
}

int record_write(struct buf *out, const struct record *record)
{
    size_t before = out->len;
    int rc = write_fields(out, record);
    if (rc == 0)
        rc = buf_append(out, "}\n", 2);
    if (rc)
        out->len = before;
    return rc;
}

/* ---- reading ---- */

static int wrong(struct buf *error, const char *what, const char *name)
{
    (void)!buf_printf(error, what, name);
    return -EINVAL;
}

static int read_base64(struct buf *out, yyjson_val *value, const char *name, struct buf *error)
{
    size_t len = yyjson_get_len(value), n;
    const char *text = yyjson_get_str(value);

    if (!text)
        return wrong(error, "%s is no base64", name);
    if (buf_reserve(out, encoding_bytes_max(ENCODING_BASE64, len)))
        return -ENOMEM;
    if (encoding_read(ENCODING_BASE64, text, len, out->data, &n))
        return wrong(error, "%s is no base64", name);
    out->len = n;
    return 0;
}

static int read_string(struct buf *out, yyjson_val *value, const char *name, struct buf *error)
{
    if (!yyjson_is_str(value))
        return wrong(error, "%s is not a string", name);
    return buf_append(out, yyjson_get_str(value), yyjson_get_len(value));
}

static int read_json(struct buf *out, yyjson_val *value, const char *name, struct buf *error)
{
    const char *why = "";
    size_t len = 0;
    char *text = yyjson_val_write(value, YYJSON_WRITE_NOFLAG, &len);
    int rc = text ? value_from_json((struct span){text, len}, out, &why) : -ENOMEM;

    free(text);
    if (rc != -EINVAL && rc != -ERANGE)
        return rc;
    (void)!buf_printf(error, "%s: %s", name, why);
    return -EINVAL;
}

/* A value that is said by its bytes is to be one. */
static int read_value_bytes(struct buf *out, yyjson_val *value, const char *name, struct buf *error)
{
    struct buf json = {0};
    bool exact;

    int rc = read_base64(out, value, name, error);
    if (rc)
        return rc;
    rc = value_to_json(span_in(out), &json, &exact);
    buf_fini(&json);
    return rc == -EINVAL ? wrong(error, "%s is no stored value, or one of a later version", name) : rc;
}

static int read_number(int64_t *number, int64_t most, yyjson_val *value, const char *name, struct buf *error)
{
    if (!yyjson_is_int(value) || yyjson_get_sint(value) < 0 || yyjson_get_sint(value) > most)
        return wrong(error, "%s is no number that it can be", name);
    *number = yyjson_get_sint(value);
    return 0;
}

enum field {
    FIELD_PARTY,
    FIELD_ROOM,
    FIELD_ROOM_BYTES,
    FIELD_KEY,
    FIELD_KEY_BYTES,
    FIELD_VALUE,
    FIELD_VALUE_BYTES,
    FIELD_SELF,
    FIELD_SELF_BYTES,
    FIELD_ALARM,
    FIELD_ATTEMPT,
    FIELDS
};

static const char *const names[FIELDS] = {"party",      "room", "roomBytes", "key",   "keyBytes", "value",
                                          "valueBytes", "self", "selfBytes", "alarm", "attempt"};

static int read_field(struct record *record, enum field field, yyjson_val *value, struct buf *error)
{
    struct buf *owned = record->owned;
    const char *name = names[field];
    int64_t attempt = 0;

    switch (field) {
    case FIELD_PARTY: return read_string(&owned[0], value, name, error);
    case FIELD_ROOM: return read_string(&owned[1], value, name, error);
    case FIELD_ROOM_BYTES: return read_base64(&owned[1], value, name, error);
    case FIELD_KEY: return read_string(&owned[2], value, name, error);
    case FIELD_KEY_BYTES: return read_base64(&owned[2], value, name, error);
    case FIELD_VALUE:
    case FIELD_SELF: return read_json(&owned[3], value, name, error);
    case FIELD_VALUE_BYTES:
    case FIELD_SELF_BYTES: return read_value_bytes(&owned[3], value, name, error);
    case FIELD_ALARM: return read_number(&record->alarm, INT64_C(1) << 53, value, name, error);
    case FIELD_ATTEMPT: {
        int rc = read_number(&attempt, UINT32_MAX, value, name, error);
        record->attempt = (uint32_t)attempt;
        return rc;
    }
    case FIELDS: break;
    }
    return -EINVAL;
}

static int read_fields(struct record *record, yyjson_val *object, bool seen[FIELDS], struct buf *error)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(object);
    yyjson_val *key;
    int rc = 0;

    while (rc == 0 && (key = yyjson_obj_iter_next(&iter)) != NULL) {
        unsigned field = 0;
        while (field < FIELDS && !yyjson_equals_str(key, names[field]))
            field++;
        if (field == FIELDS)
            return wrong(error, "the field \"%s\" is not known", yyjson_get_str(key));
        if (seen[field])
            return wrong(error, "the field \"%s\" is there twice", names[field]);
        seen[field] = true;
        rc = read_field(record, (enum field)field, yyjson_obj_iter_get_val(key), error);
    }
    return rc;
}

/* Is what is stored a table, or one with a mark? */
static bool is_table(const struct buf *value)
{
    uint8_t tag = value->len > 1 ? value->data[1] : VALUE_NULL; /* behind the version */
    return (tag >= VALUE_ELEMENTS && tag < VALUE_FALSE) || tag >= VALUE_TABLE;
}

/* Of each group exactly one field is to be there, as the kind of the line asks for. */
static int check_fields(struct record *record, const bool seen[FIELDS], struct buf *error)
{
    bool key = seen[FIELD_KEY] || seen[FIELD_KEY_BYTES];
    bool value = seen[FIELD_VALUE] || seen[FIELD_VALUE_BYTES];
    bool self = seen[FIELD_SELF] || seen[FIELD_SELF_BYTES];

    for (unsigned field = FIELD_ROOM; field < FIELD_ALARM; field += 2) {
        if (seen[field] && seen[field + 1])
            return wrong(error, "\"%s\" is there in two forms", names[field]);
    }
    if (!seen[FIELD_PARTY] || !(seen[FIELD_ROOM] || seen[FIELD_ROOM_BYTES]))
        return wrong(error, "%s", "\"party\" and \"room\" are missing");
    if (key != value || key + self + seen[FIELD_ALARM] != 1 || (seen[FIELD_ATTEMPT] && !seen[FIELD_ALARM]))
        return wrong(error, "%s", "a line has \"key\" and \"value\", or \"alarm\", or \"self\"");
    if (key && record->owned[2].len == 0)
        return wrong(error, "%s", "\"key\" is empty");
    if (self && !is_table(&record->owned[3]))
        return wrong(error, "%s", "\"self\" is no object");
    record->kind = key ? RECORD_KEY : self ? RECORD_SELF : RECORD_ALARM;
    return 0;
}

int record_read(struct record *record, struct span line, struct buf *error)
{
    bool seen[FIELDS] = {0};
    yyjson_read_err problem = {0};

    *record = (struct record){0};
    yyjson_doc *doc =
        yyjson_read_opts((char *)(uintptr_t)line.ptr, line.len, YYJSON_READ_BIGNUM_AS_RAW, NULL, &problem);
    if (!doc) {
        (void)!buf_printf(error, "no JSON: %s", problem.msg);
        return problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? -ENOMEM : -EINVAL;
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    int rc = yyjson_is_obj(root) ? read_fields(record, root, seen, error)
                                 : wrong(error, "%s", "a line is one JSON object");
    if (rc == 0)
        rc = check_fields(record, seen, error);
    yyjson_doc_free(doc);
    record->party = span_in(&record->owned[0]);
    record->room = span_in(&record->owned[1]);
    record->key = span_in(&record->owned[2]);
    record->value = span_in(&record->owned[3]);
    return rc;
}

void record_fini(struct record *record)
{
    for (size_t i = 0; i < sizeof record->owned / sizeof record->owned[0]; i++)
        buf_fini(&record->owned[i]);
}
