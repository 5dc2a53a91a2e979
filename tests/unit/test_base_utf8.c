/* utf8: every byte in every state, a table of known cases, and random texts in random
 * pieces against a decoder that works in another way. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct text_case {
    const char *bytes;
    size_t len;
    bool valid;
};
#define GOOD(s)                                                                                              \
    {                                                                                                        \
        s, sizeof(s) - 1, true                                                                               \
    }
#define BAD(s)                                                                                               \
    {                                                                                                        \
        s, sizeof(s) - 1, false                                                                              \
    }

/* In the order of Markus Kuhn's UTF-8 decoder test. */
static const struct text_case cases[] = {
    GOOD(""),
    /* 1: ordinary text */
    GOOD("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"),
    /* 2.1: first sequence of a length */
    GOOD("\x00"),
    GOOD("\xc2\x80"),
    GOOD("\xe0\xa0\x80"),
    GOOD("\xf0\x90\x80\x80"),
    BAD("\xf8\x88\x80\x80\x80"),
    BAD("\xfc\x84\x80\x80\x80\x80"),
    /* 2.2: last sequence of a length */
    GOOD("\x7f"),
    GOOD("\xdf\xbf"),
    GOOD("\xef\xbf\xbf"),
    BAD("\xf7\xbf\xbf\xbf"),
    BAD("\xfb\xbf\xbf\xbf\xbf"),
    BAD("\xfd\xbf\xbf\xbf\xbf\xbf"),
    /* 2.3: other boundaries */
    GOOD("\xed\x9f\xbf"),
    GOOD("\xee\x80\x80"),
    GOOD("\xef\xbf\xbd"),
    GOOD("\xf4\x8f\xbf\xbf"),
    BAD("\xf4\x90\x80\x80"),
    /* 3.1: continuation bytes alone */
    BAD("\x80"),
    BAD("\xbf"),
    BAD("\x80\xbf"),
    BAD("\x80\xbf\x80\xbf\x80\xbf\x80"),
    /* 3.2: first bytes, each followed by a space */
    BAD("\xc0 "),
    BAD("\xc2 "),
    BAD("\xdf "),
    BAD("\xe0 "),
    BAD("\xef "),
    BAD("\xf0 "),
    BAD("\xf7 "),
    BAD("\xf8 "),
    BAD("\xfc "),
    /* 3.3: the last continuation byte is missing */
    BAD("\xc0"),
    BAD("\xe0\x80"),
    BAD("\xf0\x80\x80"),
    BAD("\xdf"),
    BAD("\xef\xbf"),
    BAD("\xf4\x8f\xbf"),
    /* 3.4: several of them */
    BAD("\xc2\xe0\xa0\xf0\x90\x80\xdf\xef\xbf\xf4\x8f\xbf"),
    /* 3.5: impossible bytes */
    BAD("\xfe"),
    BAD("\xff"),
    BAD("\xfe\xfe\xff\xff"),
    /* 4.1: overlong forms of "/" */
    BAD("\xc0\xaf"),
    BAD("\xe0\x80\xaf"),
    BAD("\xf0\x80\x80\xaf"),
    BAD("\xf8\x80\x80\x80\xaf"),
    BAD("\xfc\x80\x80\x80\x80\xaf"),
    /* 4.2: the largest overlong forms */
    BAD("\xc1\xbf"),
    BAD("\xe0\x9f\xbf"),
    BAD("\xf0\x8f\xbf\xbf"),
    BAD("\xf8\x87\xbf\xbf\xbf"),
    BAD("\xfc\x83\xbf\xbf\xbf\xbf"),
    /* 4.3: overlong NUL */
    BAD("\xc0\x80"),
    BAD("\xe0\x80\x80"),
    BAD("\xf0\x80\x80\x80"),
    /* 5.1: single surrogates */
    BAD("\xed\xa0\x80"),
    BAD("\xed\xad\xbf"),
    BAD("\xed\xae\x80"),
    BAD("\xed\xaf\xbf"),
    BAD("\xed\xb0\x80"),
    BAD("\xed\xbe\x80"),
    BAD("\xed\xbf\xbf"),
    /* 5.2: pairs of surrogates */
    BAD("\xed\xa0\x80\xed\xb0\x80"),
    BAD("\xed\xaf\xbf\xed\xbf\xbf"),
    /* 5.3: noncharacters are characters here */
    GOOD("\xef\xbf\xbe"),
    GOOD("\xef\xbf\xbf"),
    GOOD("\xf0\x9f\xbf\xbe"),
    /* after and between words of ASCII */
    GOOD("0123456\xc3\xa9"),
    GOOD("01234567\xc3\xa9"),
    GOOD("012345678\xc3\xa9"
         "01234567"),
    BAD("01234567\xc3"
        "01234567"),
    BAD("0123456789abcdef\x80"),
    BAD("\x80"
        "0123456789abcdef"),
    BAD("01234567890\xff"
        "abcdef"),
};

static void known_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct text_case *c = &cases[i];
        if (utf8_valid(c->bytes, c->len) != c->valid)
            fail_msg("case %zu", i);
        /* In two pieces, at each place. */
        for (size_t cut = 0; cut <= c->len; cut++) {
            uint32_t s = utf8_feed(UTF8_ACCEPT, c->bytes, cut);
            s = utf8_feed(s, c->bytes + cut, c->len - cut);
            if ((s == UTF8_ACCEPT) != c->valid)
                fail_msg("case %zu cut at %zu", i, cut);
        }
    }
}

/* ---- every character, every wrong byte ---- */

static size_t encode(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

enum { OPEN = 1, WHOLE = 2 };

/* What 1, 2 and 3 bytes are: the begin of a character, or all of one. */
static uint8_t kind1[1 << 8], kind2[1 << 16], kind3[1 << 24];

static void mark_characters(void)
{
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        if (code >= 0xd800 && code <= 0xdfff)
            continue;
        uint8_t b[4];
        size_t len = encode(code, b);
        kind1[b[0]] = len == 1 ? WHOLE : OPEN;
        if (len >= 2)
            kind2[b[0] << 8 | b[1]] = len == 2 ? WHOLE : OPEN;
        if (len >= 3)
            kind3[b[0] << 16 | b[1] << 8 | b[2]] = len == 3 ? WHOLE : OPEN;
    }
}

static void assert_state(uint32_t s, int kind, uint32_t bytes)
{
    bool right = kind == WHOLE  ? s == UTF8_ACCEPT
                 : kind == OPEN ? s != UTF8_ACCEPT && s != UTF8_REJECT
                                : s == UTF8_REJECT;
    if (!right)
        fail_msg("after %x the state is %x", bytes, s);
}

/* A byte that makes a character impossible is refused at once, not at its end. */
static void every_byte_in_every_state(void **state)
{
    (void)state;
    mark_characters();
    size_t whole = 0;
    for (uint32_t a = 0; a < 256; a++) {
        uint32_t after1 = utf8_feed(UTF8_ACCEPT, &(uint8_t){(uint8_t)a}, 1);
        assert_state(after1, kind1[a], a);
        whole += kind1[a] == WHOLE;
        if (kind1[a] != OPEN)
            continue;
        for (uint32_t ab = a << 8; ab <= (a << 8 | 0xff); ab++) {
            uint32_t after2 = utf8_feed(after1, &(uint8_t){(uint8_t)ab}, 1);
            assert_state(after2, kind2[ab], ab);
            whole += kind2[ab] == WHOLE;
            if (kind2[ab] != OPEN)
                continue;
            for (uint32_t abc = ab << 8; abc <= (ab << 8 | 0xff); abc++) {
                uint32_t after3 = utf8_feed(after2, &(uint8_t){(uint8_t)abc}, 1);
                assert_state(after3, kind3[abc], abc);
                whole += kind3[abc] == WHOLE;
                if (kind3[abc] != OPEN)
                    continue;
                for (uint32_t d = 0; d < 256; d++) {
                    uint32_t after4 = utf8_feed(after3, &(uint8_t){(uint8_t)d}, 1);
                    bool last = d >= 0x80 && d <= 0xbf;
                    assert_state(after4, last ? WHOLE : 0, abc << 8 | d);
                    whole += last;
                }
            }
        }
    }
    assert_int_equal(whole, 0x110000 - 0x800);
}

static void refused_stays_refused(void **state)
{
    (void)state;
    assert_int_equal(utf8_feed(UTF8_REJECT, "plain text", 10), UTF8_REJECT);
    assert_int_equal(utf8_feed(UTF8_REJECT, "", 0), UTF8_REJECT);
}

/* ---- random texts ---- */

/* By decoding: the number, then whether it may be written so. */
static bool valid_by_decoding(const uint8_t *at, size_t len)
{
    while (len) {
        size_t n = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
        if (n == 0 || n > len)
            return false;
        uint32_t code = n == 1 ? *at : *at & (0x7fu >> n);
        for (size_t i = 1; i < n; i++) {
            if (at[i] >> 6 != 2)
                return false;
            code = code << 6 | (at[i] & 0x3f);
        }
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        at += n;
        len -= n;
    }
    return true;
}

static uint32_t random_below(uint32_t *seed, uint32_t limit)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)*seed * limit) >> 32);
}

static void random_texts_in_random_pieces(void **state)
{
    (void)state;
    uint32_t seed = 20261124;
    uint8_t text[300];
    int valid = 0, rounds = 100000;
    for (int round = 0; round < rounds; round++) {
        size_t len = 0, max = random_below(&seed, 280);
        while (len < max) {
            uint32_t kind = random_below(&seed, 8), code;
            if (kind < 4) /* a run of ASCII, to meet the words */
                for (uint32_t run = random_below(&seed, 20); run && len < max; run--)
                    text[len++] = (uint8_t)(' ' + random_below(&seed, 95));
            else {
                static const uint32_t limits[] = {0x800, 0xd800, 0x110000, 0x80};
                do
                    code = random_below(&seed, limits[kind - 4]);
                while (code >= 0xd800 && code <= 0xdfff);
                len += encode(code, text + len);
            }
        }
        if (len && random_below(&seed, 2))
            text[random_below(&seed, (uint32_t)len)] = (uint8_t)random_below(&seed, 256);
        if (len && random_below(&seed, 8) == 0)
            len--;

        bool want = valid_by_decoding(text, len);
        valid += want;
        assert_int_equal(utf8_valid(text, len), want);
        uint32_t s = UTF8_ACCEPT;
        for (size_t at = 0, piece; at < len; at += piece) {
            piece = random_below(&seed, 1 + (uint32_t)(len - at));
            s = utf8_feed(s, text + at, piece);
        }
        assert_int_equal(s == UTF8_ACCEPT, want);
    }
    assert_in_range(valid, rounds / 4, rounds - rounds / 4);
}

static void cut_between_characters(void **state)
{
    (void)state;
    const char text[] = "a\xc3\xa9\xe6\x97\xa5\xf0\x9f\x98\x80z"; /* a é 日 😀 z: 1 2 3 4 1 bytes */
    const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11, 11};
    for (size_t max = 0; max < sizeof want / sizeof *want; max++)
        assert_int_equal(utf8_cut(text, 11, max), want[max]);
    assert_int_equal(utf8_cut("", 0, 5), 0);
    assert_int_equal(utf8_cut(NULL, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_cases),
        cmocka_unit_test(every_byte_in_every_state),
        cmocka_unit_test(refused_stays_refused),
        cmocka_unit_test(random_texts_in_random_pieces),
        cmocka_unit_test(cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
