/* buf and bytes: growing, sharing, refusing what can't be had. */
#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- buf ---- */

static void buf_grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    struct buf buf = {0};
    for (int i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        assert_int_equal(buf_append(&buf, &byte, 1), 0);
    }
    assert_int_equal(buf.len, 100000);
    assert_true(buf.cap >= buf.len && buf.cap < 4 * buf.len);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf.data[i], (uint8_t)(i * 7));
    buf_fini(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.len + buf.cap, 0);
    buf_fini(&buf);
    buf_fini(NULL);
}

static void buf_reserve_makes_room_once(void **state)
{
    (void)state;
    struct buf buf = {0};
    assert_int_equal(buf_reserve(&buf, 1000), 0);
    assert_true(buf.cap >= 1000);
    assert_int_equal(buf.len, 0);
    uint8_t *data = buf.data;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_append(&buf, "x", 1), 0);
    assert_ptr_equal(buf.data, data);
    assert_int_equal(buf_append(&buf, NULL, 0), 0);
    buf_fini(&buf);
}

static void buf_refuses_what_no_memory_can_hold(void **state)
{
    (void)state;
    struct buf buf = {0};
    assert_int_equal(buf_append(&buf, "abc", 3), 0);
    struct buf before = buf;
    assert_int_equal(buf_reserve(&buf, SIZE_MAX), -ENOMEM);
    assert_int_equal(buf_reserve(&buf, SIZE_MAX - 2), -ENOMEM);
    assert_int_equal(buf_append(&buf, "", SIZE_MAX / 2), -ENOMEM);
    assert_memory_equal(&buf, &before, sizeof buf);
    assert_memory_equal(buf.data, "abc", 3);
    buf_fini(&buf);
}

static void buf_printf_fits_any_length(void **state)
{
    (void)state;
    struct buf buf = {0};
    char *text = xcalloc(5001), *want = xcalloc(5001 + 16);
    size_t lengths[] = {0, 1, 60, 61, 62, 63, 64, 65, 127, 128, 4999, 5000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memset(text, 'a', lengths[i]);
        text[lengths[i]] = '\0';
        for (size_t head = 0; head <= 2; head++) {
            buf.len = 0;
            assert_int_equal(buf_append(&buf, "<<", head), 0);
            assert_int_equal(buf_printf(&buf, "%s%d", text, 42), 0);
            int want_len = snprintf(want, 5001 + 16, "%.*s%s42", (int)head, "<<", text);
            assert_int_equal(buf.len, want_len);
            assert_memory_equal(buf.data, want, buf.len);
            buf_fini(&buf);
        }
    }
    free(text);
    free(want);
}

static void buf_consume_drops_from_the_front(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_consume(&buf, 0);
    assert_int_equal(buf_append(&buf, "0123456789", 10), 0);
    buf_consume(&buf, 0);
    assert_int_equal(buf.len, 10);
    buf_consume(&buf, 4);
    assert_int_equal(buf.len, 6);
    assert_memory_equal(buf.data, "456789", 6);
    assert_int_equal(buf_append(&buf, "ab", 2), 0);
    assert_memory_equal(buf.data, "456789ab", 8);
    buf_consume(&buf, 8);
    assert_int_equal(buf.len, 0);
    buf_fini(&buf);
}

/* ---- bytes ---- */

static void bytes_live_until_the_last_reference(void **state)
{
    (void)state;
    struct bytes *bytes = bytes_copy("hello", 5);
    assert_non_null(bytes);
    assert_int_equal(bytes->refs, 1);
    assert_int_equal(bytes->len, 5);
    assert_ptr_equal(bytes_ref(bytes), bytes);
    bytes_unref(bytes);
    assert_int_equal(bytes->refs, 1);
    assert_memory_equal(bytes->data, "hello", 5);
    bytes_unref(bytes);
    bytes_unref(NULL);
    assert_null(bytes_ref(NULL));
}

static void bytes_of_any_length(void **state)
{
    (void)state;
    struct bytes *none = bytes_new(0), *copy = bytes_copy(NULL, 0), *many = bytes_new(1000);
    assert_int_equal(none->len + copy->len, 0);
    memset(many->data, 1, many->len);
    bytes_unref(none);
    bytes_unref(copy);
    bytes_unref(many);
    assert_null(bytes_new(SIZE_MAX));
    assert_null(bytes_new(SIZE_MAX / 2 + 1));
}

static void bytes_grow(void **state)
{
    (void)state;
    size_t caps[] = {0, 1, 10, 100000};
    for (size_t c = 0; c < sizeof caps / sizeof *caps; c++) {
        struct bytes *bytes = bytes_new_growing(caps[c]);
        assert_non_null(bytes);
        assert_int_equal(bytes->len, 0);
        assert_int_equal(bytes_append(bytes, NULL, 0), 0);
        for (int i = 0; i < 20000; i++) {
            uint8_t three[3] = {(uint8_t)i, (uint8_t)(i >> 8), 7};
            assert_int_equal(bytes_append(bytes, three, 3), 0);
        }
        assert_int_equal(bytes->len, 60000);
        for (int i = 0; i < 20000; i++) {
            uint8_t three[3] = {(uint8_t)i, (uint8_t)(i >> 8), 7};
            assert_memory_equal(bytes->data + 3 * i, three, 3);
        }
        assert_int_equal(bytes_append(bytes, "", SIZE_MAX / 2), -ENOMEM);
        assert_int_equal(bytes->len, 60000);
        bytes_unref(bytes);
    }
}

/* ---- check ---- */

/* Runs f in a child whose messages go nowhere; true if it aborted. */
static bool aborts(void (*f)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        f();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void good_check(void)
{
    CHECK(1 + 1 == 2);
}

static void bad_check(void)
{
    CHECK(1 + 1 == 3);
}

static void append_to_fixed(void)
{
    struct bytes *bytes = bytes_new(10);
    if (bytes_append(bytes, "x", 1))
        _exit(0);
}

static void consume_too_much(void)
{
    struct buf buf = {0};
    buf_consume(&buf, 1);
}

static void mistakes_abort(void **state)
{
    (void)state;
    assert_false(aborts(good_check));
    assert_true(aborts(bad_check));
    assert_true(aborts(append_to_fixed));
    assert_true(aborts(consume_too_much));
}

static void small_memory_is_zeroed(void **state)
{
    (void)state;
    uint8_t *memory = xcalloc(100), zero[100] = {0};
    assert_memory_equal(memory, zero, 100);
    free(memory);
    free(xcalloc(0));
    char *copy = xstrdup("text");
    assert_string_equal(copy, "text");
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_grows_and_keeps_its_bytes),
        cmocka_unit_test(buf_reserve_makes_room_once),
        cmocka_unit_test(buf_refuses_what_no_memory_can_hold),
        cmocka_unit_test(buf_printf_fits_any_length),
        cmocka_unit_test(buf_consume_drops_from_the_front),
        cmocka_unit_test(bytes_live_until_the_last_reference),
        cmocka_unit_test(bytes_of_any_length),
        cmocka_unit_test(bytes_grow),
        cmocka_unit_test(mistakes_abort),
        cmocka_unit_test(small_memory_is_zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
