/* ws: the heads of frames, both ways, and where frames begin. */
#include "ws/frame.h"
#include "ws_frames.h"

#include <errno.h>

static void check_head(enum ws_opcode opcode, uint64_t payload_len, const char *bytes, size_t len)
{
    uint8_t head[WS_HEAD_MAX];
    assert_int_equal(ws_frame_head(head, opcode, true, payload_len), len);
    assert_int_equal(head[0], bytes[0] + 0x40 + 256); /* a char is signed */
    assert_memory_equal(head + 1, bytes + 1, len - 1);
    assert_int_equal(ws_frame_head(head, opcode, false, payload_len), len);
    assert_memory_equal(head, bytes, len);
}
#define CHECK_HEAD(opcode, payload_len, literal) check_head(opcode, payload_len, literal, sizeof(literal) - 1)

static void test_write(void **state)
{
    (void)state;
    /* RFC 6455 §5.7 */
    CHECK_HEAD(WS_TEXT, 5, "\x81\x05");
    CHECK_HEAD(WS_BINARY, 256, "\x82\x7e\x01\x00");
    CHECK_HEAD(WS_BINARY, 65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
    /* the edges of the forms */
    CHECK_HEAD(WS_TEXT, 0, "\x81\x00");
    CHECK_HEAD(WS_TEXT, 125, "\x81\x7d");
    CHECK_HEAD(WS_TEXT, 126, "\x81\x7e\x00\x7e");
    CHECK_HEAD(WS_TEXT, 65535, "\x81\x7e\xff\xff");
    CHECK_HEAD(WS_PONG, 5, "\x8a\x05");
    CHECK_HEAD(WS_BINARY, 0x0123456789abcdef, "\x82\x7f\x01\x23\x45\x67\x89\xab\xcd\xef");
}

static void test_read(void **state)
{
    static const uint64_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 1ull << 40, (1ull << 63) - 1};
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        for (unsigned choice = 0; choice < 512; choice++) {
            struct buf bytes = {0};
            struct ws_head head = {0};
            const char *error = NULL;
            unsigned first = choice & 0xff, opcode = first & 0x0f;
            bool deflate = choice >= 256, compressed = (first & 0x70) == 0x40;

            put_head(&bytes, first, lengths[i], mask);
            bool good = opcode <= WS_BINARY ||
                        (opcode >= WS_CLOSE && opcode <= WS_PONG && first & 0x80 && lengths[i] < 126);
            good = good && (!(first & 0x70) || (deflate && compressed && (opcode == 1 || opcode == 2)));
            for (size_t len = 0; len <= bytes.len; len++) {
                int rc = ws_head_read(&head, bytes.data, len, deflate, &error);
                if (!good && len >= 2) {
                    assert_int_equal(rc, -EPROTO);
                    assert_non_null(error);
                } else if (good) {
                    assert_int_equal(rc, len == bytes.len ? len : 0);
                }
            }
            if (good) {
                assert_int_equal(head.opcode, opcode);
                assert_int_equal(head.fin, first >> 7);
                assert_int_equal(head.compressed, compressed);
                assert_true(head.payload_len == lengths[i]);
                assert_memory_equal(head.mask, mask, 4);
            }
            buf_fini(&bytes);
        }
    }
}

/* A row of frames of known lengths, asked about at every byte. */
static void test_edge(void **state)
{
    static const size_t lengths[] = {0, 5, 125, 126, 300, 0, 0, 65535, 65536, 1, 200};
    size_t edges[16] = {0}, n = 0;
    struct buf row = {0};
    (void)state;

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint8_t head[WS_HEAD_MAX];
        size_t len = ws_frame_head(head, i % 2 ? WS_TEXT : WS_PING, false, lengths[i]);
        assert_int_equal(buf_append(&row, head, len), 0);
        for (size_t k = 0; k < lengths[i]; k++)
            put_byte(&row, 0xff);
        edges[++n] = row.len;
    }
    for (size_t sent = 0, next = 0; sent <= row.len; sent++) {
        while (edges[next] < sent)
            next++;
        assert_int_equal(ws_frame_edge(row.data, sent, row.len), edges[next]);
    }
    /* of the last frame only a part is here: another segment has the rest */
    for (size_t len = edges[n - 1]; len < row.len; len++) {
        assert_int_equal(ws_frame_edge(row.data, edges[n - 1], len), edges[n - 1]);
        if (len > edges[n - 1])
            assert_int_equal(ws_frame_edge(row.data, edges[n - 1] + 1, len), len);
    }
    for (size_t len = 1; len < 12; len++) { /* the same with a head that says very much */
        uint8_t *head = malloc(len);
        assert_non_null(head);
        memset(head, 0xff, len);
        head[0] = 0x82;
        assert_int_equal(ws_frame_edge(head, 1, len), len);
        free(head);
    }
    assert_int_equal(ws_frame_edge(NULL, 0, 0), 0);
    buf_fini(&row);
}

static void test_close_codes(void **state)
{
    static const unsigned refused[] = {0,    1,    999,  1004, 1005, 1006, 1015,  1016,  1099,
                                       1100, 1999, 2000, 2999, 5000, 9999, 65535, 65536, 0xffffffff};
    static const unsigned allowed[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011,
                                       1012, 1013, 1014, 3000, 3999, 4000, 4409, 4999};
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        assert_false(ws_close_code_valid(refused[i]));
        assert_false(ws_close_code_sendable(refused[i]));
    }
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        assert_true(ws_close_code_valid(allowed[i]));
        assert_int_equal(ws_close_code_sendable(allowed[i]), allowed[i] != 1002);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_edge),
        cmocka_unit_test(test_close_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
