/* ws: unmasking and its check of text, against doing it byte by byte. */
#include "ws/mask.h"

#include "base/utf8.h"
#include "ws_frames.h"

static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};

/* Text of len bytes with a two-byte character at two places, if it has room for them. */
static uint8_t *make_text(size_t len, size_t a, size_t b)
{
    uint8_t *text = malloc(len ? len : 1);
    assert_non_null(text);
    for (size_t i = 0; i < len; i++)
        text[i] = (uint8_t)('a' + i % 26);
    for (size_t *at = (size_t[]){a, b, SIZE_MAX}; *at != SIZE_MAX; at++) {
        if (*at + 1 < len) {
            text[*at] = 0xc3;
            text[*at + 1] = 0xa9;
        }
    }
    return text;
}

/* Every length around the blocks, cut in two at every place, in place and into other memory
 * that begins at every alignment. */
static void test_cuts(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 200; len++) {
        uint8_t *text = make_text(len, len / 3, len / 2 + 7);
        struct buf masked = {0};

        put_masked(&masked, text, len, key);
        for (size_t cut = 0; cut <= len; cut++) {
            uint8_t *dst = malloc(len + 8), *src = malloc(len + 8);
            for (int as_text = 0; as_text <= 1; as_text++) {
                for (int in_place = 0; in_place <= 1; in_place++) {
                    uint8_t mask[4], *in = src + cut % 8, *out = in_place ? in : dst + len % 8;
                    uint32_t utf8 = UTF8_ACCEPT;

                    memcpy(mask, key, sizeof mask);
                    if (len)
                        memcpy(in, masked.data, len);
                    if (as_text) {
                        utf8 = ws_unmask_text(out, in, cut, mask, utf8);
                        utf8 = ws_unmask_text(out + cut, in + cut, len - cut, mask, utf8);
                    } else {
                        ws_unmask(out, in, cut, mask);
                        ws_unmask(out + cut, in + cut, len - cut, mask);
                    }
                    assert_int_equal(utf8, UTF8_ACCEPT);
                    assert_memory_equal(out, text, len);
                    for (size_t i = 0; i < 4; i++) /* turned to where it would go on */
                        assert_int_equal(mask[i], key[(len + i) % 4]);
                }
            }
            free(dst);
            free(src);
        }
        free(text);
        buf_fini(&masked);
    }
}

/* A byte that no text has, or a character that is not whole, at every place. */
static void test_bad_text(void **state)
{
    static const size_t len = 200;
    (void)state;
    for (size_t at = 0; at < len; at++) {
        for (int kind = 0; kind < 3; kind++) {
            uint8_t mask[4], *text = make_text(len, SIZE_MAX - 1, SIZE_MAX - 1);
            struct buf masked = {0};

            memcpy(mask, key, sizeof mask);
            text[at] = kind == 0 ? 0xff : kind == 1 ? 0x80 : 0xe2;
            put_masked(&masked, text, len, key);
            uint32_t utf8 = ws_unmask_text(masked.data, masked.data, len, mask, UTF8_ACCEPT);
            if (kind == 2 && at == len - 1)
                assert_true(utf8 != UTF8_ACCEPT && utf8 != UTF8_REJECT); /* it could go on */
            else
                assert_int_equal(utf8, UTF8_REJECT);
            assert_int_equal(ws_unmask_text(masked.data, masked.data, 1, mask, UTF8_REJECT), UTF8_REJECT);
            free(text);
            buf_fini(&masked);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_bad_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
