/* Who reads a source of unknown length: writes down what it is given, and asks for more when the test says so. */
#pragma once

#include "base/buf.h"
#include "http/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct stream_reader {
    struct http_sink sink;
    struct http_source *source; /* NULL: closed */
    struct buf got;
    unsigned pieces;
    bool asked, whole, failed;
};

static inline void reader_on_piece(struct http_sink *sink, struct bytes *piece)
{
    struct stream_reader *reader = container_of(sink, struct stream_reader, sink);

    assert_true(reader->asked && !reader->whole && !reader->failed);
    reader->asked = false;
    reader->pieces++;
    reader->failed = !piece;
    if (!piece)
        return;
    assert_true(piece->len > 0);
    assert_int_equal(buf_append(&reader->got, piece->data, piece->len), 0);
    bytes_unref(piece);
}

static inline void reader_on_end(struct http_sink *sink)
{
    struct stream_reader *reader = container_of(sink, struct stream_reader, sink);

    assert_true(reader->asked && !reader->whole && !reader->failed);
    reader->asked = false;
    reader->whole = true;
}

/* Takes the source over, and asks for nothing yet. */
static inline void reader_begin(struct stream_reader *reader, struct http_source *source)
{
    *reader =
        (struct stream_reader){.sink = {.piece = reader_on_piece, .end = reader_on_end}, .source = source};
    assert_true(source->length == HTTP_LENGTH_UNKNOWN);
}

static inline void reader_ask(struct stream_reader *reader)
{
    unsigned pieces = reader->pieces;

    reader->asked = true;
    reader->source->pull(reader->source, &reader->sink);
    assert_true(reader->asked && reader->pieces == pieces); /* never from within */
}

static inline void reader_close(struct stream_reader *reader)
{
    if (reader->source)
        reader->source->close(reader->source);
    reader->source = NULL;
    reader->asked = false;
    buf_fini(&reader->got);
}

/* Compares what has come, and forgets it. */
static inline void reader_expect(struct stream_reader *reader, const char *text)
{
    assert_int_equal(buf_append(&reader->got, "", 1), 0);
    assert_string_equal((const char *)reader->got.data, text);
    reader->got.len = 0;
}
