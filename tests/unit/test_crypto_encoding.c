/* Bytes as text: the examples of RFC 4648 §10, all lengths there and back, and what is refused. */
#include "crypto/encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_published_examples(void **state)
{
    (void)state;
    static const char *const tests[][4] = {
        {"", "", "", ""},
        {"f", "Zg==", "Zg", "66"},
        {"fo", "Zm8=", "Zm8", "666f"},
        {"foo", "Zm9v", "Zm9v", "666f6f"},
        {"foob", "Zm9vYg==", "Zm9vYg", "666f6f62"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE", "666f6f6261"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy", "666f6f626172"},
        {"\xfb\xff\xfe", "+//+", "-__-", "fbfffe"},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        for (int encoding = ENCODING_BASE64; encoding <= ENCODING_HEX; encoding++) {
            const char *bytes = tests[i][0], *text = tests[i][1 + encoding];
            char written[16] = {0};
            uint8_t read[16];
            size_t len;

            assert_int_equal(encoding_text_len((enum encoding)encoding, strlen(bytes)), strlen(text));
            encoding_write((enum encoding)encoding, bytes, strlen(bytes), written);
            assert_string_equal(written, text);
            assert_null(encoding_read((enum encoding)encoding, text, strlen(text), read, &len));
            assert_int_equal(len, strlen(bytes));
            assert_memory_equal(read, bytes, len);
        }
    }
}

/* With memory of exactly the promised size, so that a sanitizer sees more. */
static void all_lengths(void **state)
{
    (void)state;
    for (size_t len = 0; len < 300; len++) {
        uint8_t bytes[300];
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(i * 151 + len * 7);
        for (int encoding = ENCODING_BASE64; encoding <= ENCODING_HEX; encoding++) {
            size_t text_len = encoding_text_len((enum encoding)encoding, len), back;
            char *text = malloc(text_len + !text_len);
            encoding_write((enum encoding)encoding, bytes, len, text);
            uint8_t *read = malloc(encoding_bytes_max((enum encoding)encoding, text_len) + 1);
            assert_true(encoding_bytes_max((enum encoding)encoding, text_len) >= len);
            assert_null(encoding_read((enum encoding)encoding, text, text_len, read, &back));
            assert_int_equal(back, len);
            assert_memory_equal(read, bytes, len);
            free(text);
            free(read);
        }
    }
    assert_true(encoding_text_len(ENCODING_BASE64, SIZE_MAX / 2) == SIZE_MAX);
}

/* Every byte that is no digit, at every place of a text. */
static void other_characters(void **state)
{
    (void)state;
    static const struct {
        enum encoding encoding;
        const char *digits;
    } tests[] = {
        {ENCODING_BASE64, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"},
        {ENCODING_BASE64URL, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"},
        {ENCODING_HEX, "0123456789abcdefABCDEF"},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        for (int place = 0; place < 8; place++) {
            for (int c = 0; c < 256; c++) {
                char text[8] = "AAAAAAAA";
                uint8_t out[8];
                size_t len;
                text[place] = (char)c;
                bool digit = c != 0 && strchr(tests[i].digits, c);
                bool filled = tests[i].encoding == ENCODING_BASE64 && place == 7 && c == '=';
                assert_int_equal(!encoding_read(tests[i].encoding, text, sizeof text, out, &len),
                                 digit || filled);
            }
        }
    }
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum encoding encoding;
        const char *text, *problem;
    } tests[] = {
        {ENCODING_BASE64, "Zg", "groups of four"},
        {ENCODING_BASE64, "Zg=", "groups of four"},
        {ENCODING_BASE64, "Zm9v\n", "groups of four"},
        {ENCODING_BASE64, "=", "groups of four"},
        {ENCODING_BASE64, "====", "no base64"},
        {ENCODING_BASE64, "Z===", "no base64"},
        {ENCODING_BASE64, "Zg==Zg==", "no base64"},
        {ENCODING_BASE64, "Zh==", "bits that mean nothing"},
        {ENCODING_BASE64, "Zm9=", "bits that mean"},
        {ENCODING_BASE64, "-_8=", "base64url has '-'"},
        {ENCODING_BASE64URL, "Zg==", "no '='"},
        {ENCODING_BASE64URL, "A", "ends too early"},
        {ENCODING_BASE64URL, "Zh", "bits that mean"},
        {ENCODING_BASE64URL, "Zm9", "bits that mean"},
        {ENCODING_BASE64URL, "+/8", "base64 has '+'"},
        {ENCODING_BASE64URL, "Zm9v Zm9vA", "no base64url"},
        {ENCODING_HEX, "a", "pairs"},
        {ENCODING_HEX, "0x", "no hexadecimal digit"},
        {ENCODING_HEX, "a g0", "no hexadecimal digit"},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        uint8_t out[16];
        size_t len = 99;
        const char *problem =
            encoding_read(tests[i].encoding, tests[i].text, strlen(tests[i].text), out, &len);
        if (!problem || !strstr(problem, tests[i].problem))
            fail_msg("%s: %s, not %s", tests[i].text, problem ? problem : "was read", tests[i].problem);
        assert_int_equal(len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_examples),
        cmocka_unit_test(all_lengths),
        cmocka_unit_test(other_characters),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
