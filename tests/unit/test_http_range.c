/* Range (RFC 9110 §14): which part of a body is asked for. */
#include "http/range.h"

#include "request_text.h"

/* "all", "none", or "FIRST+LEN". */
static const char *range_of(const char *method, const char *headers, uint64_t size)
{
    static char text[64];
    struct http_request *request = request_of(method, "/", headers);
    uint64_t first = 0, len = 0;

    enum http_range range = http_range_of(request, size, &first, &len);
    http_request_free(request);
    if (range == HTTP_RANGE_ALL)
        return "all";
    if (range == HTTP_RANGE_NONE)
        return "none";
    assert_true(len > 0 && first < size && len <= size - first);
    snprintf(text, sizeof text, "%llu+%llu", (unsigned long long)first, (unsigned long long)len);
    return text;
}

static void values(void **state)
{
    static const struct {
        const char *value;
        uint64_t size;
        const char *want;
    } cases[] = {
        {"bytes=0-0", 10, "0+1"},
        {"bytes=0-9", 10, "0+10"},
        {"bytes=2-5", 10, "2+4"},
        {"bytes=9-", 10, "9+1"},
        {"bytes=0-", 10, "0+10"},
        {"bytes=5-100", 10, "5+5"},
        {"bytes=5-18446744073709551615", 10, "5+5"},
        {"bytes=5-99999999999999999999999999", 10, "5+5"},
        {"bytes=-1", 10, "9+1"},
        {"bytes=-10", 10, "0+10"},
        {"bytes=-11", 10, "0+10"},
        {"bytes=-99999999999999999999999999", 10, "0+10"},
        {"BYTES=1-2", 10, "1+2"},
        {"bytes= 1-2 ", 10, "1+2"},
        {"bytes=,1-2,", 10, "1+2"},
        {"bytes=, ,1-2", 10, "1+2"},
        /* nothing of it is there */
        {"bytes=10-", 10, "none"},
        {"bytes=10-20", 10, "none"},
        {"bytes=99999999999999999999999999-", 10, "none"},
        {"bytes=-0", 10, "none"},
        {"bytes=0-", 0, "none"},
        {"bytes=0-0", 0, "none"},
        {"bytes=-0", 0, "none"},
        {"bytes=-5", 0, "all"},
        /* malformed, or not ours: as if it were not there */
        {"bytes=5-2", 10, "all"},
        {"bytes=", 10, "all"},
        {"bytes=-", 10, "all"},
        {"bytes=1", 10, "all"},
        {"bytes=a-b", 10, "all"},
        {"bytes=1-2x", 10, "all"},
        {"bytes=1 -2", 10, "all"},
        {"bytes=1--2", 10, "all"},
        {"bytes=--2", 10, "all"},
        {"bytes=+1-2", 10, "all"},
        {"bytes=0x1-2", 10, "all"},
        {"bytes =1-2", 10, "all"},
        {"bytes:1-2", 10, "all"},
        {"items=0-5", 10, "all"},
        {"byte=0-5", 10, "all"},
        {"0-5", 10, "all"},
        /* more than one */
        {"bytes=0-1,3-4", 10, "all"},
        {"bytes=0-0,0-0", 10, "all"},
        {"bytes=0-1,100-", 10, "all"},
        {"bytes=100-,200-", 10, "all"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[128];
        snprintf(header, sizeof header, "Range: %s\r\n", cases[i].value);
        const char *got = range_of("GET", header, cases[i].size);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s of %llu bytes: %s, not %s", cases[i].value, (unsigned long long)cases[i].size, got,
                     cases[i].want);
    }
}

static void other_requests(void **state)
{
    (void)state;
    assert_string_equal(range_of("GET", "", 10), "all");
    assert_string_equal(range_of("HEAD", "Range: bytes=0-0\r\n", 10), "all");
    assert_string_equal(range_of("POST", "Range: bytes=0-0\r\n", 10), "all");
    assert_string_equal(range_of("GET", "range: bytes=0-0\r\n", 10), "0+1");
    assert_string_equal(range_of("GET", "Range: bytes=0-0\r\nRange: bytes=0-0\r\n", 10), "all");
}

static void all_ranges_of_a_small_body(void **state)
{
    (void)state;
    for (unsigned size = 1; size < 6; size++) {
        for (unsigned from = 0; from < size; from++) {
            for (unsigned to = from; to < 8; to++) {
                char header[64], want[64];
                unsigned last = to < size ? to : size - 1;
                snprintf(header, sizeof header, "Range: bytes=%u-%u\r\n", from, to);
                snprintf(want, sizeof want, "%u+%u", from, last - from + 1);
                assert_string_equal(range_of("GET", header, size), want);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(other_requests),
        cmocka_unit_test(all_ranges_of_a_small_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
