/* ws: what a session makes of frames, right ones and wrong ones. Every case is fed whole, byte
 * by byte, and cut in two at every place. */
#include "ws_driver.h"

#define LIMIT 100000u

#define FAILS(code, text) "> close " code " " text "\nfailed " code " " text "\n"

struct session_case {
    const char *name;
    struct test_frame frames[12];
    const char *expected;
    uint64_t limit;    /* 0: LIMIT */
    unsigned close_at; /* see struct driver */
    unsigned fini_at;
};

#define DIGITS_50 "01234567890123456789012345678901234567890123456789"
#define DIGITS_123 DIGITS_50 DIGITS_50 "01234567890123456789012"
#define DIGITS_125 DIGITS_123 "34"
#define CASE(label, result, ...) .name = (label), .expected = (result), .frames = {__VA_ARGS__}

static const struct session_case cases[] = {
    /* RFC 6455 §5.7 */
    {CASE("text, masked as in the RFC", "text Hello\n", RAW("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"))},
    {CASE("text, not masked", FAILS("1002", "Frame is not masked"), RAW("\x81\x05Hello"))},
    {CASE("text in two fragments", "text Hello\n", FRAME(0x01, "Hel"), FRAME(0x80, "lo"))},
    {CASE("a ping, masked as in the RFC", "> pong Hello\n",
          RAW("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"))},
    {CASE("a pong, masked as in the RFC", "pong\n", RAW("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"))},

    /* messages */
    {CASE("empty text", "text\n", FRAME(0x81, ""))},
    {CASE("empty binary", "binary\n", FRAME(0x82, ""))},
    {CASE("a NUL and bytes that are no text", "binary <00><ff><80>\n", FRAME(0x82, "\0\xff\x80"))},
    {CASE("several in a row", "text one\nbinary two\ntext\ntext four\n", FRAME(0x81, "one"),
          FRAME(0x82, "two"), FRAME(0x81, ""), FRAME(0x81, "four"))},
    {CASE("a length of 125", "binary " DIGITS_125 "\n", FRAME(0x82, DIGITS_125))},
    {CASE("a mask of zeros", "text Hi\n", RAW("\x81\x82\0\0\0\0Hi"))},

    /* fragments */
    {CASE("empty fragments", "text\n", FRAME(0x01, ""), FRAME(0x00, ""), FRAME(0x80, ""))},
    {CASE("an empty last fragment", "binary ab\n", FRAME(0x02, "ab"), FRAME(0x80, ""))},
    {CASE("an empty first fragment", "binary ab\n", FRAME(0x02, ""), FRAME(0x80, "ab"))},
    {CASE("many fragments, and what follows them", "text abcde\nbinary f\ntext gh\n", FRAME(0x01, "a"),
          FRAME(0x00, "b"), FRAME(0x00, ""), FRAME(0x00, "cd"), FRAME(0x80, "e"), FRAME(0x82, "f"),
          FRAME(0x01, "g"), FRAME(0x80, "h"))},
    {CASE("control frames between fragments", "> pong 1\npong\n> pong 3\ntext abc\n> pong 4\n",
          FRAME(0x01, "a"), FRAME(0x89, "1"), FRAME(0x00, "b"), FRAME(0x8a, "2"), FRAME(0x89, "3"),
          FRAME(0x80, "c"), FRAME(0x89, "4"))},
    {CASE("a close between fragments", "> close 1000\nclosed 1000\n", FRAME(0x01, "a"),
          FRAME(0x88, "\x03\xe8"), FRAME(0x80, "b"))},
    {CASE("a continuation of nothing", FAILS("1002", "Continuation frame without a message to continue"),
          FRAME(0x80, "a"))},
    {CASE("a continuation of nothing, not the last",
          FAILS("1002", "Continuation frame without a message to continue"), FRAME(0x00, ""))},
    {CASE("a continuation of a message that is done",
          "text ab\n" FAILS("1002", "Continuation frame without a message to continue"), FRAME(0x01, "a"),
          FRAME(0x80, "b"), FRAME(0x80, "c"), FRAME(0x81, "d"))},
    {CASE("text inside of a fragmented message",
          FAILS("1002", "New message before the end of a fragmented one"), FRAME(0x01, "a"), FRAME(0x81, "b"),
          FRAME(0x80, "c"))},
    {CASE("binary inside of a fragmented message",
          FAILS("1002", "New message before the end of a fragmented one"), FRAME(0x02, ""),
          FRAME(0x02, "b"))},

    /* pings and pongs */
    {CASE("empty ones", "> pong\npong\n", FRAME(0x89, ""), FRAME(0x8a, ""))},
    {CASE("a ping of 125 bytes", "> pong " DIGITS_125 "\n", FRAME(0x89, DIGITS_125))},
    {CASE("a ping of bytes that are no text", "> pong <00><ff><fe><fd>\n", FRAME(0x89, "\0\xff\xfe\xfd"))},
    {CASE("a ping of 126 bytes", FAILS("1002", "Control frame is longer than 125 bytes"),
          RAW("\x89\xfe\x00\x7e\x01\x02\x03\x04"))},
    {CASE("a pong with eight bytes of length", FAILS("1002", "Control frame is longer than 125 bytes"),
          RAW("\x8a\xff"))},
    {CASE("a ping that is a fragment", FAILS("1002", "Control frame is fragmented"), FRAME(0x09, "a"),
          FRAME(0x81, "b"))},
    {CASE("a close that is a fragment", FAILS("1002", "Control frame is fragmented"), FRAME(0x08, ""))},
    {CASE("a ping, not masked", FAILS("1002", "Frame is not masked"), RAW("\x89\x01x"))},
    {CASE("a ping that is not whole", "text a\n", FRAME(0x81, "a"), RAW("\x89\x83\x01\x02\x03\x04xy"))},

    /* lengths */
    {CASE("16 bits for what fits 7", FAILS("1002", "Length is not in its shortest form"),
          RAW("\x81\xfe\x00\x7d\x01\x02\x03\x04"))},
    {CASE("64 bits for what fits 16", FAILS("1002", "Length is not in its shortest form"),
          RAW("\x82\xff\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04"))},
    {CASE("64 bits for nothing", FAILS("1002", "Length is not in its shortest form"),
          RAW("\x82\xff\0\0\0\0\0\0\0\0\x01\x02\x03\x04"))},
    {CASE("the highest bit", FAILS("1002", "Length has its highest bit set"),
          RAW("\x82\xff\x80\0\0\0\0\0\0\0\x01\x02\x03\x04"))},
    {CASE("all bits", FAILS("1002", "Length has its highest bit set"),
          RAW("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"))},

    /* the limit */
    {CASE("as much as may be", "text 12345678\n", FRAME(0x81, "12345678")), .limit = 8},
    {CASE("one more", FAILS("1009", "Message is too large: 9 > 8"), FRAME(0x81, "123456789")), .limit = 8},
    {CASE("one more, announced", FAILS("1009", "Message is too large: 9 > 8"),
          RAW("\x82\x89\x01\x02\x03\x04")),
     .limit = 8},
    {CASE("as much as can be announced", FAILS("1009", "Message is too large: 9223372036854775807 > 8"),
          RAW("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04")),
     .limit = 8},
    {CASE("as much as may be, in fragments", "text 12345678\ntext 12345678\n", FRAME(0x01, "123"),
          FRAME(0x00, "4567"), FRAME(0x80, "8"), FRAME(0x81, "12345678")),
     .limit = 8},
    {CASE("one more, in fragments", FAILS("1009", "Message is too large: 9 > 8"), FRAME(0x01, "123"),
          FRAME(0x00, "4567"), FRAME(0x80, "89")),
     .limit = 8},
    {CASE("very much more, in fragments", FAILS("1009", "Message is too large: 9223372036854775810 > 8"),
          FRAME(0x01, "123"), RAW("\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04")),
     .limit = 8},
    {CASE("control frames don't count", "> pong 123456789\ntext 12345678\n", FRAME(0x01, "123"),
          FRAME(0x89, "123456789"), FRAME(0x80, "45678")),
     .limit = 8},

    /* UTF-8 */
    {CASE("all lengths of characters", "text k<ce><ba><e1><bd><b9><f0><90><80><80><f4><8f><bf><bf>\n",
          FRAME(0x81, "k\xce\xba\xe1\xbd\xb9\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"))},
    {CASE("a character cut by fragments", "text <f0><90><80><80>\n", FRAME(0x01, "\xf0"), FRAME(0x00, "\x90"),
          FRAME(0x00, ""), FRAME(0x80, "\x80\x80"))},
    {CASE("a character that is not whole at the end", FAILS("1007", "Text is not valid UTF-8"),
          FRAME(0x81, "ab\xc3"))},
    {CASE("a character that is not whole at the end of fragments", FAILS("1007", "Text is not valid UTF-8"),
          FRAME(0x01, "ab\xe1"), FRAME(0x80, "\xbd"))},
    {CASE("a character that is not whole before an empty fragment", FAILS("1007", "Text is not valid UTF-8"),
          FRAME(0x01, "ab\xe1"), FRAME(0x80, ""))},
    {CASE("the next message begins anew", "binary <c3>\ntext <c3><a9>\ntext a\n", FRAME(0x82, "\xc3"),
          FRAME(0x81, "\xc3\xa9"), FRAME(0x81, "a"))},
    {CASE("a surrogate", FAILS("1007", "Text is not valid UTF-8"), FRAME(0x81, "a\xed\xa0\x80"))},
    {CASE("not the shortest form", FAILS("1007", "Text is not valid UTF-8"), FRAME(0x81, "\xc0\x80"))},

    /* fail fast: nothing more has to come (Autobahn 6.4.1 to 6.4.4) */
    {CASE("a bad fragment that is not the last", FAILS("1007", "Text is not valid UTF-8"),
          FRAME(0x01, "\xce\xba\xf4\x90"), FRAME(0x89, "unread"))},
    {CASE("a bad second fragment", FAILS("1007", "Text is not valid UTF-8"), FRAME(0x01, "\xce\xba\xf4"),
          FRAME(0x00, "\x90"), FRAME(0x89, "unread"))},
    {CASE("bad inside of a frame of which more is to come", FAILS("1007", "Text is not valid UTF-8"),
          RAW("\x81\x94\0\0\0\0\xce\xba\xf4\x90"))},
    {CASE("good so far, inside of a frame", "", RAW("\x81\x94\0\0\0\0\xce\xba\xf4"))},
    {CASE("bad far inside of a long frame", FAILS("1007", "Text is not valid UTF-8"),
          RAW("\x81\xfe\x10\x00\0\0\0\0" DIGITS_123 "\xff"))},

    /* closing */
    {CASE("an empty close", "> close\nclosed 1005\n", FRAME(0x88, ""))},
    {CASE("a close with a code", "> close 3000\nclosed 3000\n", FRAME(0x88, "\x0b\xb8"))},
    {CASE("a close with a reason",
          "> close 1001 Going <e2><82><ac> away\nclosed 1001 Going <e2><82><ac> away\n",
          FRAME(0x88, "\x03\xe9"
                      "Going \xe2\x82\xac away"))},
    {CASE("nothing is read behind a close", "> close 1000\nclosed 1000\n", FRAME(0x88, "\x03\xe8"),
          FRAME(0x89, "ping"), FRAME(0x81, "text"), RAW("\xff\xff\xff"))},
    {CASE("half a code", FAILS("1002", "Close frame has half a code"), FRAME(0x88, "\x03"))},
    {CASE("a code of nobody", FAILS("1002", "Close code 1005 is not allowed"), FRAME(0x88, "\x03\xed"))},
    {CASE("a reason that is no text", FAILS("1007", "Close reason is not valid UTF-8"),
          FRAME(0x88, "\x03\xe8\xff"))},
    {CASE("a reason that ends inside of a character", FAILS("1007", "Close reason is not valid UTF-8"),
          FRAME(0x88, "\x03\xe8\xce\xba\xe1"))},
    {CASE("a reason of 123 bytes", "> close 4001 " DIGITS_123 "\nclosed 4001 " DIGITS_123 "\n",
          FRAME(0x88, "\x0f\xa1" DIGITS_123))},

    /* closing from inside of a message */
    {CASE("messages are dropped then, and pings too", "text a\n> close 4000 Enough\nclosed 4000\n",
          FRAME(0x81, "a"), FRAME(0x81, "b"), FRAME(0x89, "p"), FRAME(0x01, "c"), FRAME(0x80, "\xff"),
          FRAME(0x81, "\xff"), FRAME(0x88, "\x0f\xa0"), FRAME(0x81, "d")),
     .close_at = 1},
    {CASE("however large they are", "text a\n> close 4000 Enough\nclosed 1005\n", FRAME(0x81, "a"),
          FRAME(0x81, "123456789"), FRAME(0x88, "")),
     .limit = 8, .close_at = 1},
    {CASE("in a message of fragments", "text ab\n> close 4000 Enough\nclosed 1000 Bye\n", FRAME(0x01, "a"),
          FRAME(0x80, "b"), FRAME(0x81, "c"),
          FRAME(0x88, "\x03\xe8"
                      "Bye")),
     .close_at = 1},
    {CASE("another close than ours", "text a\n> close 4000 Enough\nclosed 1000\n", FRAME(0x81, "a"),
          FRAME(0x88, "\x03\xe8")),
     .close_at = 1},
    {CASE("framing counts still",
          "text a\n> close 4000 Enough\nfailed 1002 Continuation frame without a message to continue\n",
          FRAME(0x81, "a"), FRAME(0x81, "b"), FRAME(0x80, "c")),
     .close_at = 1},
    {CASE("so do fragments",
          "text a\n> close 4000 Enough\nfailed 1002 New message before the end of a fragmented one\n",
          FRAME(0x81, "a"), FRAME(0x01, "b"), FRAME(0x81, "c")),
     .close_at = 1},
    {CASE("so does the close's code",
          "text a\n> close 4000 Enough\nfailed 1002 Close code 1005 is not allowed\n", FRAME(0x81, "a"),
          FRAME(0x88, "\x03\xed")),
     .close_at = 1},
    {CASE("ending it from inside of a message", "text a\n", FRAME(0x81, "a"), FRAME(0x81, "b"),
          FRAME(0x89, "p"), FRAME(0x88, "")),
     .fini_at = 1},
    {CASE("ending it from inside of a message of fragments", "binary ab\n", FRAME(0x02, "a"),
          FRAME(0x80, "b"), FRAME(0x81, "c")),
     .fini_at = 1},
};

/* Feeds stream[from, to) in pieces of at most so many bytes. */
static void feed(struct driver *driver, const struct buf *stream, size_t from, size_t to, size_t piece)
{
    for (size_t at = from; at < to; at += piece)
        driver_feed(driver, stream->data + at, piece < to - at ? piece : to - at);
}

/* Cuts at cut, if any, and in pieces of at most so many bytes. */
static void check_case(const struct session_case *it, const struct buf *stream, size_t cut, size_t piece)
{
    struct driver driver;

    driver_init(&driver, it->limit ? it->limit : LIMIT);
    driver.close_at = it->close_at;
    driver.fini_at = it->fini_at;
    feed(&driver, stream, 0, cut, piece);
    feed(&driver, stream, cut, stream->len, piece);
    if (strcmp(driver_text(&driver), it->expected) != 0)
        fail_msg("%s, cut at %zu, pieces of %zu:\n%sis not\n%s", it->name, cut, piece, driver_text(&driver),
                 it->expected);
    driver_fini(&driver);
}

static void check_everywhere(const struct session_case *it, const struct buf *stream)
{
    check_case(it, stream, 0, SIZE_MAX / 2);
    check_case(it, stream, 0, 1);
    check_case(it, stream, 0, 7);
    for (size_t cut = 1; cut < stream->len; cut++)
        check_case(it, stream, cut, SIZE_MAX / 2);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf stream = {0};
        put_frames(&stream, cases[i].frames, sizeof cases[i].frames / sizeof *cases[i].frames);
        check_everywhere(&cases[i], &stream);
        buf_fini(&stream);
    }
}

/* Every first byte, behind a message and inside of one. */
static void test_first_bytes(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        unsigned opcode = first & 0x0f;
        bool fin = first & 0x80, known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
        const char *expected = NULL;
        struct buf stream = {0};

        if (first & 0x70)
            expected = "text a\n" FAILS("1002", "Reserved bits are set");
        else if (!known)
            expected = "text a\n" FAILS("1002", "Opcode is reserved");
        else if (opcode >= 8 && !fin)
            expected = "text a\n" FAILS("1002", "Control frame is fragmented");
        put_text(&stream, "a");
        put_byte(&stream, first);
        if (expected) {
            struct session_case it = {.name = "a first byte", .expected = expected};
            check_everywhere(&it, &stream); /* it alone is enough */
            put_masked(&stream, "\x80\1\2\3\4 and more", 14, (const uint8_t[4]){0});
            check_everywhere(&it, &stream);
        } else {
            struct session_case it = {.name = "a first byte", .expected = "text a\n"};
            check_everywhere(&it, &stream); /* it waits for more */
        }
        buf_fini(&stream);
    }
}

/* Every close code, by the list of RFC 6455 §7.4 and of the registry that it founded. */
static void test_close_codes(void **state)
{
    static const unsigned registered[] = {1000, 1001, 1002, 1003, 1007, 1008,
                                          1009, 1010, 1011, 1012, 1013, 1014};
    (void)state;
    for (unsigned code = 0; code < 65536; code++) {
        uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
        char expected[160];
        struct session_case it = {.name = "a close code", .expected = expected};
        struct buf stream = {0};
        bool good = code / 1000 == 3 || code / 1000 == 4;

        for (size_t i = 0; i < sizeof registered / sizeof *registered; i++)
            good |= code == registered[i];
        snprintf(expected, sizeof expected,
                 good ? "> close %u\nclosed %u\n" : FAILS("1002", "Close code %u is not allowed"), code,
                 code);
        put_frame(&stream, 0x88, payload, 2);
        check_case(&it, &stream, 0, 100);
        buf_fini(&stream);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_close_codes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ws_thread_fini();
    return failed;
}
