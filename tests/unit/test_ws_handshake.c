/* ws: the key of the opening handshake, its answer, and what is agreed on to compress with. */
#include "ws/handshake.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_accept(void **state)
{
    static const struct {
        const char *key, *accept;
    } cases[] = {
        {"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, /* RFC 6455 §1.3 */
        {"x3JJHMbDL1EzLkh9GBhXDw==", "HSmrc0sMlYUkAGmm5OPpG2HaGWk="},
        {"AAAAAAAAAAAAAAAAAAAAAA==", "ICX+Yqv66kxgM0FcWaLWlFLwTAI="},
        {"+/+/+/+/+/+/+/+/+/+/+w==", "M0DUs3om0SqzerhOhYSMM7WQuBQ="},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char accept[WS_ACCEPT_LEN + 1];
        assert_true(ws_key_valid(span_of(cases[i].key)));
        ws_accept_key(span_of(cases[i].key), accept);
        assert_string_equal(accept, cases[i].accept);
    }
}

static void test_valid(void **state)
{
    static const char *const bad[] = {
        "",
        "==",
        "dGhlIHNhbXBsZSBub25jZQ=",   /* short */
        "dGhlIHNhbXBsZSBub25jZQ===", /* long */
        "dGhlIHNhbXBsZSBub25jZQ",    /* no padding */
        "dGhlIHNhbXBsZSBub25jZQ=A",
        "dGhlIHNhbXBsZSBub25jZQA=", /* 17 bytes */
        "dGhlIHNhbXBsZSBub25jZQAA", /* 18 bytes */
        "dGhlIHNhbXBsZSBub25jZ===", /* 15 bytes and a bit */
        "dGhlIHNhbXBsZSBub25j====",
        "dGhlIHNhbXBsZSBub2=jZQ==",
        "dGhlIHNhbXBs-SBub25jZQ==", /* base64url */
        "dGhlIHNhbXBs_SBub25jZQ==",
        "dGhlIHNhbXBs SBub25jZQ==",
        " dGhlIHNhbXBsSBub25jZQ==",
        "dGhlIHNhbXBs\xc3\xa9Sub25jZQ==",
    };
    char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
    (void)state;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ws_key_valid(span_of(bad[i])));
    assert_false(ws_key_valid((struct span){0}));
    assert_true(ws_key_valid(SPAN("dGhlIHNhbXBsZSBub25jZR=="))); /* bits to spare */

    for (int byte = 0; byte < 256; byte++) {
        bool digit = byte && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", byte);
        key[7] = (char)byte;
        assert_int_equal(ws_key_valid((struct span){key, WS_KEY_LEN}), digit);
    }
}

#define YES "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
#define NO ""
#define BAD NULL /* it is no list of extensions */

static const struct {
    const char *offers, *answer;
    unsigned window;
} offers[] = {
    {"permessage-deflate", YES, 15},
    {" permessage-deflate\t", YES, 15},
    {"permessage-deflate; client_max_window_bits", YES, 15}, /* as browsers have it */
    {"permessage-deflate; client_no_context_takeover; server_no_context_takeover", YES, 15},

    /* windows */
    {"permessage-deflate; server_max_window_bits=15", YES "; server_max_window_bits=15", 15},
    {"permessage-deflate; server_max_window_bits=9", YES "; server_max_window_bits=9", 9},
    {"permessage-deflate; server_max_window_bits=\"10\"", YES "; server_max_window_bits=10", 10},
    {"permessage-deflate; server_max_window_bits=\"1\\2\"", YES "; server_max_window_bits=12", 12},
    {"permessage-deflate ;server_max_window_bits = 11\t;  client_max_window_bits =8",
     YES "; server_max_window_bits=11; client_max_window_bits=8", 11},
    {"permessage-deflate; client_max_window_bits=15; server_max_window_bits=15; server_no_context_takeover; "
     "client_no_context_takeover",
     YES "; server_max_window_bits=15; client_max_window_bits=15", 15},
    {"permessage-deflate; server_max_window_bits=8", NO, 0}, /* zlib can't */
    {"permessage-deflate; server_max_window_bits", NO, 0},
    {"permessage-deflate; server_max_window_bits=7", NO, 0},
    {"permessage-deflate; server_max_window_bits=16", NO, 0},
    {"permessage-deflate; server_max_window_bits=0", NO, 0},
    {"permessage-deflate; server_max_window_bits=09", NO, 0},
    {"permessage-deflate; server_max_window_bits=010", NO, 0},
    {"permessage-deflate; server_max_window_bits=+9", NO, 0},
    {"permessage-deflate; server_max_window_bits=1a", NO, 0},
    {"permessage-deflate; server_max_window_bits=4294967305", NO, 0}, /* 9 in 32 bits */
    {"permessage-deflate; server_max_window_bits=\"99999999999999999999\"", NO, 0},
    {"permessage-deflate; client_max_window_bits=7", NO, 0},
    {"permessage-deflate; client_max_window_bits=16", NO, 0},
    {"permessage-deflate; client_max_window_bits=08", NO, 0},
    {"permessage-deflate; client_max_window_bits=x", NO, 0},

    /* what declines an offer */
    {"permessage-deflate; server_no_context_takeover=1", NO, 0},
    {"permessage-deflate; client_no_context_takeover=\"true\"", NO, 0},
    {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", NO, 0},
    {"permessage-deflate; client_no_context_takeover; client_no_context_takeover", NO, 0},
    {"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", NO, 0},
    {"permessage-deflate; client_max_window_bits; client_max_window_bits=10", NO, 0},
    {"permessage-deflate; client_max_window_bits; client_max_window_bits", NO, 0},
    {"permessage-deflate; unheard_of", NO, 0},
    {"permessage-deflate; server_max_window_bits=10; x=\"y\"", NO, 0},
    {"permessage-deflate; Server_No_Context_Takeover", NO, 0},

    /* several offers, in order */
    {"permessage-deflate; server_max_window_bits=10, permessage-deflate", YES "; server_max_window_bits=10",
     10},
    {"permessage-deflate; server_max_window_bits=8, permessage-deflate", YES, 15},
    {"permessage-deflate; unheard_of, permessage-deflate; server_max_window_bits=12; "
     "client_max_window_bits=9, "
     "permessage-deflate",
     YES "; server_max_window_bits=12; client_max_window_bits=9", 12},
    {"permessage-deflate; server_max_window_bits=9; unheard_of, permessage-deflate", YES, 15},
    {"x-webkit-deflate-frame, permessage-bzip2; client_max_window_bits=99, permessage-deflate", YES, 15},
    {",, permessage-deflate ,\t,", YES, 15},

    /* others, or none */
    {"", NO, 0},
    {" , ", NO, 0},
    {"permessage-bzip2", NO, 0},
    {"Permessage-Deflate", NO, 0},
    {"permessage-deflated", NO, 0},
    {"foo; a; b=c; d=\"e\"", NO, 0},

    /* what is no list of extensions */
    {"permessage-deflate;", BAD, 0},
    {"permessage-deflate;;client_max_window_bits", BAD, 0},
    {";permessage-deflate", BAD, 0},
    {"permessage-deflate; server_max_window_bits=", BAD, 0},
    {"permessage-deflate; =9", BAD, 0},
    {"permessage-deflate; server_max_window_bits=\"9", BAD, 0},
    {"permessage-deflate; server_max_window_bits=\"\"", BAD, 0},
    {"permessage-deflate; server_max_window_bits=\"9 \"", BAD, 0},
    {"permessage-deflate; server_max_window_bits=\"9\\", BAD, 0},
    {"permessage-deflate; server_max_window_bits=\"9\"9", BAD, 0},
    {"permessage-deflate client_max_window_bits", BAD, 0},
    {"permessage-deflate, \"permessage-deflate\"", BAD, 0},
    {"permessage-deflate, b\xc3\xa4h", BAD, 0},
    {"permessage-deflate=1", BAD, 0},
    {"a/b", BAD, 0},
};

static void test_negotiation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof offers / sizeof *offers; i++) {
        struct ws_deflate agreed = {0};
        char answer[WS_DEFLATE_ANSWER_MAX];
        size_t len = strlen(offers[i].offers);
        char *copy = malloc(len ? len : 1); /* so that a sanitizer sees its end */

        assert_non_null(copy);
        memcpy(copy, offers[i].offers, len);
        int rc = ws_deflate_negotiate(&agreed, (struct span){copy, len});
        free(copy);
        if (rc != (offers[i].answer ? 0 : -EINVAL))
            fail_msg("%s: %d", offers[i].offers, rc);
        if (rc)
            continue;
        ws_deflate_answer(&agreed, answer);
        if (strcmp(answer, offers[i].answer) != 0)
            fail_msg("%s: %s", offers[i].offers, answer);
        assert_int_equal(agreed.window, offers[i].window);
    }
}

/* Several header lines are one list. */
static void test_lines(void **state)
{
    struct ws_deflate agreed = {0};
    (void)state;

    assert_int_equal(ws_deflate_negotiate(&agreed, SPAN("foo, permessage-deflate; bar")), 0);
    assert_int_equal(agreed.window, 0);
    assert_int_equal(ws_deflate_negotiate(&agreed, SPAN("permessage-deflate; server_max_window_bits=11")), 0);
    assert_int_equal(agreed.window, 11);
    assert_int_equal(ws_deflate_negotiate(&agreed, SPAN("permessage-deflate; client_max_window_bits=9")), 0);
    assert_int_equal(agreed.window, 11);
    assert_int_equal(agreed.client_window, 0);
    assert_int_equal(ws_deflate_negotiate(&agreed, SPAN("foo bar")), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_negotiation),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
