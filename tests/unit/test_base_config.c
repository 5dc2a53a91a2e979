/* config: the defaults, the table of limits, and what follows from other values. */
#include "base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t limit(const struct config *config, const char *name)
{
    for (const struct limit_info *info = limit_infos; info->name; info++) {
        if (strcmp(info->name, name) == 0)
            return *(const uint64_t *)(const void *)((const char *)&config->limits + info->offset);
    }
    fail_msg("no limit %s", name);
    return 0;
}

static void defaults_are_those_of_the_documentation(void **state)
{
    (void)state;
    struct config config;
    config_init(&config);
    assert_string_equal(config.host, "127.0.0.1");
    assert_string_equal(config.public_folder, "public");
    assert_int_equal(config.port, 1999);
    assert_int_equal(config.threads, 0);
    assert_false(config.single_page_app || config.cors || config.deflate || config.reject_with_close);
    assert_true(config.io_uring);
    assert_false(config.any_origin || config.allowed_origins_set);
    assert_int_equal(config.allowed_origins.count + config.subprotocols.count + config.vars.count, 0);

    static const struct {
        const char *name;
        uint64_t value;
    } want[] = {
        {"message", 1048576},   {"body", 10485760},       {"url", 8192},
        {"headers", 16384},     {"headerTimeout", 10000}, {"bodyTimeout", 60000},
        {"idleTimeout", 75000}, {"queue", 4194304},       {"events", 1024},
        {"handlers", 256},      {"pingInterval", 30000},  {"callTimeout", 30000},
        {"handlerTime", 250},   {"stuckTime", 10000},     {"roomMemory", 33554432},
        {"idleRoom", 600000},
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_int_equal(limit(&config, want[i].name), want[i].value);
    assert_true(limit(&config, "connections") == LIMIT_NONE);
    config_fini(&config);
    assert_null(config.host);
    config_fini(&config);
    config_fini(NULL);
}

static void the_table_of_limits_is_sound(void **state)
{
    (void)state;
    size_t n = 0;
    for (const struct limit_info *info = limit_infos; info->name; info++, n++) {
        assert_true(info->least <= info->most);
        assert_true(info->fallback == LIMIT_NONE ||
                    (info->fallback >= info->least && info->fallback <= info->most));
        assert_true(strlen(info->name) > 0 && strlen(info->help) > 0);
        /* One place for each, in the order of the struct. */
        assert_int_equal(info->offset, n * sizeof(uint64_t));
        for (const struct limit_info *other = limit_infos; other != info; other++)
            assert_string_not_equal(other->name, info->name);
    }
    assert_int_equal(n * sizeof(uint64_t), sizeof(struct limits));
}

static void string_lists_copy(void **state)
{
    (void)state;
    struct string_list list = {0};
    char text[] = "one";
    string_list_add(&list, text);
    text[0] = 'X';
    string_list_add(&list, "");
    for (int i = 0; i < 100; i++)
        string_list_add(&list, "more");
    assert_int_equal(list.count, 102);
    assert_string_equal(list.items[0], "one");
    assert_string_equal(list.items[1], "");
    assert_string_equal(list.items[101], "more");
    string_list_fini(&list);
    assert_null(list.items);
    assert_int_equal(list.count, 0);
    string_list_fini(&list);
    string_list_fini(NULL);
}

static void queue_holds_four_messages(void **state)
{
    (void)state;
    static const struct {
        uint64_t message, queue, want;
    } rows[] = {
        {1 << 20, 4 << 20, 4 << 20},   {1, 4 << 20, 4 << 20}, {(1 << 20) + 1, 4 << 20, (4 << 20) + 4},
        {1 << 20, 64 << 20, 64 << 20}, {100, 1024, 1024},     {1ull << 32, 1024, 1ull << 34},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config config;
        config_init(&config);
        config.limits.message = rows[i].message;
        config.limits.queue = rows[i].queue;
        config_finish(&config);
        assert_true(config.limits.queue == rows[i].want);
        config_fini(&config);
    }
}

/* What config_finish makes of connections in a process with these two limits, as exit
 * code of a child, since a hard limit can't be raised again: 0 if as wanted. */
static void assert_connections(rlim_t soft, rlim_t hard, uint64_t set, uint64_t want)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limits = {.rlim_cur = soft, .rlim_max = hard};
        if (setrlimit(RLIMIT_NOFILE, &limits) != 0)
            _exit(2);
        struct config config;
        config_init(&config);
        config.limits.connections = set;
        config_finish(&config);
        bool right = config.limits.connections == want;
        config_fini(&config);
        getrlimit(RLIMIT_NOFILE, &limits);
        _exit(!right || limits.rlim_cur != hard);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void connections_follow_the_descriptors(void **state)
{
    (void)state;
    assert_connections(100, 256, LIMIT_NONE, 256 - 64);
    assert_connections(256, 256, LIMIT_NONE, 256 - 64);
    assert_connections(66, 66, LIMIT_NONE, 2);
    assert_connections(20, 65, LIMIT_NONE, 1);
    assert_connections(20, 64, LIMIT_NONE, 1);
    assert_connections(20, 32, LIMIT_NONE, 1);
    assert_connections(100, 256, 7, 7);
    assert_connections(100, 256, 5000, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_documentation),
        cmocka_unit_test(the_table_of_limits_is_sound),
        cmocka_unit_test(string_lists_copy),
        cmocka_unit_test(queue_holds_four_messages),
        cmocka_unit_test(connections_follow_the_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
