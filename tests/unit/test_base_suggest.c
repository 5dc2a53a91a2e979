/* suggest: what is near enough to be meant, and what is not. */
#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void nearest_names_are_suggested(void **state)
{
    (void)state;
    static const char *const handlers[] = {"onStart", "onConnect",         "onMessage",
                                           "onClose", "onError",           "onRequest",
                                           "onStop",  "getConnectionTags", NULL};
    static const char *const keys[] = {"port", "host",   "threads", "public", "cors",
                                       "tls",  "limits", "vars",    NULL};
    static const char *const none[] = {NULL};
    static const struct {
        const char *const *names;
        const char *text, *want;
    } rows[] = {
        {handlers, "onMesage", "onMessage"},
        {handlers, "onmessage", "onMessage"},
        {handlers, "ONMESSAGE", "onMessage"},
        {handlers, "onMessages", "onMessage"},
        {handlers, "onMsesage", "onMessage"}, /* neighbours swapped */
        {handlers, "onConect", "onConnect"},
        {handlers, "onClosed", "onClose"},
        {handlers, "onStrat", "onStart"},
        {handlers, "onStap", "onStop"}, /* nearer than onStart */
        {handlers, "getConnectionTag", "getConnectionTags"},
        {handlers, "onTheWayHome", NULL},
        {handlers, "x", NULL},
        {handlers, "", NULL},
        {keys, "prot", "port"},
        {keys, "hosts", "host"},
        {keys, "thread", "threads"},
        {keys, "limit", "limits"},
        {keys, "cor", "cors"},
        {keys, "tsl", "tls"},
        {keys, "xyz", NULL},
        {keys, "ab", NULL},
        {keys, "hoxx", NULL},
        {keys, "threxxs", "threads"},
        {keys, "thrxxxs", NULL},
        {none, "port", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = suggest(rows[i].text, rows[i].names);
        if (got != rows[i].want && (!got || !rows[i].want || strcmp(got, rows[i].want) != 0))
            fail_msg("%s: %s", rows[i].text, got ? got : "nothing");
    }
}

static void long_texts_suggest_nothing(void **state)
{
    (void)state;
    char name[64], text[10001];
    memset(name, 'a', 63);
    name[63] = '\0';
    memset(text, 'a', 10000);
    text[10000] = '\0';
    const char *const names[] = {text, name, NULL};
    assert_null(suggest(text, names));
    text[63] = '\0';
    assert_ptr_equal(suggest(name, names), text);
    text[63] = 'a';
    text[64] = '\0';
    assert_ptr_equal(suggest(name, names), name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_names_are_suggested),
        cmocka_unit_test(long_texts_suggest_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
