/* festa.lua: every key and limit, right and wrong; the file and line that a mistake is found by. */
#include "project_files.h"

#include "script/config_file.h"

static struct project_files files;

static int set_up(void **state)
{
    (void)state;
    project_files_init(&files);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    project_files_fini(&files);
    return 0;
}

/* The result of reading this source; error is NUL-terminated. */
static int read_source(const char *source, struct config *config, struct buf *error)
{
    project_files_write(&files, "festa.lua", source);
    config_init(config);
    int rc = config_file_read(config, project_files_path(&files, "festa.lua"), false, error);
    assert_int_equal(buf_append(error, "", 1), 0);
    assert_true((rc == 0) == (error->len == 1));
    return rc;
}

static void every_key(void **state)
{
    (void)state;
    struct config config;
    struct buf error = {0};

    int rc = read_source(
        "-- a comment\n"
        "local port = 80 * 100\n"
        "return {\n"
        "  port = port, host = '::1', threads = 3, storageFiles = 4, public = 'www', singlePageApp = true,\n"
        "  cors = true, allowedOrigins = { 'https://example.com', 'http://localhost:8080' },\n"
        "  ioUring = false, fetchPrivate = false, fetchCa = 'ca.pem',\n"
        "  subprotocols = { 'chat.v2', 'chat.v1' }, deflate = true, tls = nil,\n"
        "  trustedProxies = { '10.0.0.0/8', '2001:db8::1', 'loopback' },\n"
        "  rejectWithClose = true, crons = { sweep = '*/5 * * * *', hourly = '@hourly' },\n"
        "  vars = { GREETING = 'hi', LIMIT = 5, RATIO = 0.5, OPEN = true, EMPTY = '' },\n"
        "  limits = { message = 4096, idleRoom = 1e6, storageKey = 2048, storageValue = 2097152 },\n"
        "}\n",
        &config, &error);
    if (rc != 0)
        fail_msg("%s", (char *)error.data);
    assert_int_equal(config.port, 8000);
    assert_string_equal(config.host, "::1");
    assert_int_equal(config.threads, 3);
    assert_int_equal(config.storage_files, 4);
    assert_string_equal(config.public_folder, "www");
    assert_true(config.public_set && config.single_page_app);
    assert_true(config.cors);
    assert_true(config.deflate);
    assert_false(config.io_uring || config.fetch_private);
    assert_string_equal(config.fetch_ca, "ca.pem");
    assert_true(config.reject_with_close);
    assert_int_equal(config.n_crons, 2); /* by name */
    assert_string_equal(config.crons[0].name, "hourly");
    assert_string_equal(config.crons[1].name, "sweep");
    assert_string_equal(config.crons[1].schedule, "*/5 * * * *");
    assert_true(config.crons[1].times.minutes & 1u << 5);
    assert_true(config.allowed_origins_set && !config.any_origin);
    assert_int_equal(config.allowed_origins.count, 2);
    assert_string_equal(config.allowed_origins.items[1], "http://localhost:8080");
    assert_int_equal(config.subprotocols.count, 2);
    assert_string_equal(config.subprotocols.items[0], "chat.v2");
    assert_int_equal(config.n_trusted_proxies, 4);
    assert_int_equal(config.trusted_proxies[0].bits, 104);
    assert_int_equal(config.vars.count, 5);
    static const char *const vars[] = {"GREETING=hi", "LIMIT=5", "RATIO=0.5", "OPEN=true", "EMPTY="};
    for (size_t i = 0; i < 5; i++) {
        bool found = false;
        for (size_t j = 0; j < config.vars.count; j++)
            found = found || strcmp(config.vars.items[j], vars[i]) == 0;
        if (!found)
            fail_msg("%s is not among the variables", vars[i]);
    }
    assert_int_equal(config.limits.message, 4096);
    assert_int_equal(config.limits.idle_room, 1000000);
    assert_int_equal(config.limits.body, 10 * 1024 * 1024);
    config_fini(&config);
    buf_fini(&error);
}

static void an_empty_table_changes_nothing(void **state)
{
    (void)state;
    struct config config, defaults;
    struct buf error = {0};

    assert_int_equal(read_source("return {}", &config, &error), 0);
    config_init(&defaults);
    assert_int_equal(config.port, defaults.port);
    assert_string_equal(config.host, defaults.host);
    assert_string_equal(config.public_folder, defaults.public_folder);
    assert_true(config.fetch_private && !config.fetch_ca);
    assert_false(config.allowed_origins_set || config.public_set || config.single_page_app);
    assert_memory_equal(&config.limits, &defaults.limits, sizeof config.limits);
    config_fini(&config);
    config_fini(&defaults);
    buf_fini(&error);
}

static void every_limit_has_its_range(void **state)
{
    (void)state;
    size_t tried = 0;

    for (const struct limit_info *info = limit_infos; info->name; info++, tried++) {
        struct {
            unsigned long long value;
            bool good;
        } rows[] = {{info->least, true},
                    {info->most, true},
                    {info->most + 1, false},
                    {info->least - 1, false}};
        for (size_t i = 0; i < (info->least > 0 ? 4 : 3); i++) {
            struct config config;
            struct buf error = {0};
            char source[128], wanted[128];
            uint64_t value;
            snprintf(source, sizeof source, "return {\n limits = {\n  %s = %llu } }", info->name,
                     rows[i].value);
            int rc = read_source(source, &config, &error);
            memcpy(&value, (char *)&config.limits + info->offset, sizeof value);
            snprintf(wanted, sizeof wanted,
                     "festa.lua:3: limits.%s is a whole number from %llu to %llu, not %llu", info->name,
                     (unsigned long long)info->least, (unsigned long long)info->most, rows[i].value);
            if (rows[i].good ? rc != 0 || value != rows[i].value : !strstr((char *)error.data, wanted))
                fail_msg("%s: %s", source, (char *)error.data);
            config_fini(&config);
            buf_fini(&error);
        }
    }
    assert_true(tried > 10);
}

/* A source and what its error has. */
static void mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *source, *wanted;
    } rows[] = {
        /* keys */
        {"return {\n  prot = 1 }", "festa.lua:2: prot is not known; did you mean port?"},
        {"return {\n  xyzzy = 1 }", "festa.lua:2: xyzzy is not known\n"},
        {"return {\n  limits = {\n    mesage = 1 } }",
         "festa.lua:3: limits.mesage is not known; did you mean message?"},
        {"return { 1 }", "return gives a table in which something has no name"},
        {"return {\n limits = { 1 } }",
         "festa.lua:2: limits has a key that is no name; what is known are pairs like message = 65536"},
        /* types */
        {"return { port = '80' }", "festa.lua:1: port is a whole number from 0 to 65535, not \"80\""},
        {"return { port = 80.5 }", "port is a whole number from 0 to 65535, not 80.5"},
        {"return { port = -1 }", "not -1"},
        {"return { port = 65536 }", "not 65536"},
        {"return { port = {} }", "not a table"},
        {"return { port = function() end }", "not a function"},
        {"return { threads = 0 }", "threads is a whole number from 1"},
        {"return { storageFiles = 65 }", "storageFiles is a whole number from 1 to 64"},
        {"return { host = 1 }", "host is a text that is not empty, not 1"},
        {"return { host = '' }", "host is a text that is not empty, not \"\""},
        {"return { host = 'a\\0b' }", "host is a text"},
        {"return { public = false }", "public is a text that is not empty, not false"},
        {"return { cors = 1 }", "cors is true or false, not 1"},
        {"return { ioUring = 'auto' }", "ioUring is true or false, not \"auto\""},
        {"return { allowedOrigins = '*' }", "allowedOrigins is an array of texts, not \"*\""},
        {"return { allowedOrigins = { a = 1 } }", "allowedOrigins is an array of texts"},
        {"return { allowedOrigins = { 1 } }", "of the form \"https://example.com\", not 1"},
        {"return { allowedOrigins = { 'example.com' } }",
         "of the form \"https://example.com\", not \"example.com\""},
        {"return { allowedOrigins = { 'https://example.com/' } }", "of the form"},
        {"return { allowedOrigins = { '://x' } }", "of the form"},
        {"return { allowedOrigins = { 'https://*.example' } }",
         "\"*\" for all or, without a *, of the form \"https://example.com\", not \"https://*.example\""},
        {"return { allowedOrigins = { 'https://a\\0b' } }", "not a text with a NUL (\\0) in it"},
        {"return { vars = { A = 'a\\0b' } }",
         "vars.A is a text, a number or a boolean, not a text with a NUL (\\0) in it"},
        {"return { subprotocols = { 'a b' } }",
         "subprotocols is an array of tokens, like \"chat.v1\", not \"a b\""},
        {"return { subprotocols = { '' } }", "subprotocols is an array of tokens"},
        {"return { trustedProxies = 1 }", "trustedProxies is an array of texts, not 1"},
        {"return { trustedProxies = '10.0.0.1' }", "trustedProxies is an array of texts"},
        {"return {\n trustedProxies = { '10.0.0.1', '10.0.0.0/33' } }",
         "festa.lua:2: trustedProxies is an array of addresses, like \"10.0.0.1\", \"10.0.0.0/8\", "
         "\"loopback\" or "
         "\"private\", not \"10.0.0.0/33\""},
        {"return { trustedProxies = { 'localhost' } }", "or \"private\", not \"localhost\""},
        {"return { trustedProxies = { '' } }", "or \"private\", not \"\""},
        {"return { trustedProxies = { 10 } }", "or \"private\", not 10"},
        {"return { vars = 1 }", "vars is a table of variables, not 1"},
        {"return {\n vars = {\n  ['A-B'] = 1 } }", "festa.lua:3: vars.A-B is no variable's name"},
        {"return { vars = { ['1A'] = 1 } }", "no variable's name"},
        {"return { vars = { 'x' } }",
         "festa.lua:1: vars has a key that is no name; what is known are pairs like GREETING = \"hi\""},
        {"return { vars = { A = {} } }", "vars.A is a text, a number or a boolean, not a table"},
        {"return { vars = { A = 'x\\0y' } }", "vars.A is a text"},
        {"return { limits = 1 }", "limits is a table of limits, not 1"},
        {"return { limits = { message = '1mb' } }",
         "limits.message is a whole number from 1 to 4294967296, not \"1mb\""},
        {"return { deflate = 1 }", "deflate is true or false"},
        {"return { singlePageApp = 'yes' }", "singlePageApp is true or false, not \"yes\""},
        {"return { rejectWithClose = 1 }", "rejectWithClose is true or false, not 1"},
        {"return { crons = 1 }", "crons is a table of schedules, not 1"},
        {"return {\n crons = { '* * * * *' } }", "festa.lua:2: crons has a key that is no name; what is "
                                                 "known are pairs like sweep = \"*/5 * * * *\""},
        {"return { crons = { [''] = '* * * * *' } }", "has a key that is no name"},
        {"return { crons = { ['a\\0b'] = '* * * * *' } }", "has a key that is no name"},
        {"return {\n crons = {\n  cleanup = 5 } }",
         "festa.lua:3: crons.cleanup is a schedule, like \"*/5 * * * *\", not 5"},
        {"return { crons = { a = '* * * * *\\0' } }", "crons.a is a schedule, like"},
        {"return {\n crons = {\n  cleanup = '*/5 * * *' } }",
         "festa.lua:3: crons.cleanup is no schedule, \"*/5 * * *\": it has 4 fields of five"},
        {"return { crons = { a = '61 * * * *' } }", "\"61\" is no minute (0 to 59)"},
        {"return { crons = { a = '0 0 31 2 *' } }", "no such day ever comes"},
        {"return { tls = {} }", "tls has to have both cert and key"},
        {"return { tls = { cert = 'a' } }", "tls has to have both cert and key"},
        {"return { tls = { cert = 'a', kye = 'b' } }", "tls.kye is not known; did you mean key?"},
        {"return { tls = { cert = 'a', key = 1 } }", "tls.key is a text"},
        {"return { tls = true }", "tls is { cert = "},
        {"return { port = 'x', tls = { cert = 'a' }, threads = 'y' }", "tls has to have both cert and key"},
        {"return { tls = { { cert = 'a', key = 'b' }, 7 } }", "tls is { cert = "},
        {"return { limits = { storageValue = 10 } }", "limits.storageValue is a whole number from 16"},
        /* the file as a whole */
        {"", "festa.lua: must return a table, like return { port = 1999 }; it returned nothing"},
        {"return 5", "must return a table, like return { port = 1999 }; it returned a number"},
        {"return {\n  port = 1,\n  oops oops\n}",
         "festa.lua:3: '}' expected (to close '{' at line 1) near 'oops'"},
        {"return {\n  port = 1,\n  oops oops\n}", "\n  >    3 |   oops oops"},
        {"\n\nreturn os.getenv('HOME')", "festa.lua:3: attempt to index a nil value (global 'os')"},
        {"return { host = io.read() }", "attempt to index a nil value (global 'io')"},
        {"return require 'x'", "attempt to call a nil value (global 'require')"},
        {"x = 1\nwhile true do x = 1 end", "the configuration runs too long"},
        {"local s = 'x'\nwhile true do s = s .. s end", "not enough memory"},
        {"\x1bLua", "this is bytecode"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct config config;
        struct buf error = {0};
        int rc = read_source(rows[i].source, &config, &error);
        if (rc == 0 || !strstr((char *)error.data, rows[i].wanted))
            fail_msg("%s\n  gives %s\n  not %s", rows[i].source, (char *)error.data, rows[i].wanted);
        config_fini(&config);
        buf_fini(&error);
    }
}

static void all_mistakes_are_said_at_once(void **state)
{
    (void)state;
    struct config config;
    struct buf error = {0};

    assert_true(read_source("return {\nprot = 1,\nhost = 2,\nlimits = {\nbody = 'x',\nurl = 1 } }", &config,
                            &error) < 0);
    static const char *const wanted[] = {":2: prot is not known", ":3: host is a text", ":5: limits.body",
                                         ":6: limits.url"};
    const char *at = (const char *)error.data;
    for (size_t i = 0; i < 4; i++) {
        at = strstr(at, wanted[i]); /* in order of lines */
        assert_non_null(at);
    }
    config_fini(&config);
    buf_fini(&error);
}

static void origins(void **state)
{
    (void)state;
    struct config config;
    struct buf error = {0};

    assert_int_equal(read_source("return { allowedOrigins = { '*' } }", &config, &error), 0);
    assert_true(config.any_origin && config.allowed_origins_set);
    config_fini(&config);
    error.len = 0;
    assert_int_equal(read_source("return { allowedOrigins = {} }", &config, &error), 0);
    assert_true(!config.any_origin && config.allowed_origins_set && config.allowed_origins.count == 0);
    config_fini(&config);
    buf_fini(&error);
}

static void files_that_are_not_there(void **state)
{
    (void)state;
    struct config config;
    struct buf error = {0};
    const char *path = project_files_path(&files, "none.lua");

    config_init(&config);
    assert_int_equal(config_file_read(&config, path, true, &error), 0);
    assert_int_equal(error.len, 0);
    assert_true(config_file_read(&config, path, false, &error) < 0);
    assert_int_equal(buf_append(&error, "", 1), 0);
    assert_non_null(strstr((char *)error.data, "none.lua: can't be read: No such file or directory"));
    error.len = 0;
    assert_true(config_file_read(&config, files.root, true, &error) < 0); /* a folder */
    assert_int_equal(buf_append(&error, "", 1), 0);
    assert_non_null(strstr((char *)error.data, "Is a directory"));
    config_fini(&config);
    buf_fini(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key),
        cmocka_unit_test(an_empty_table_changes_nothing),
        cmocka_unit_test(every_limit_has_its_range),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(all_mistakes_are_said_at_once),
        cmocka_unit_test(origins),
        cmocka_unit_test(files_that_are_not_there),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
