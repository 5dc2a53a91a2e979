/* A project folder: which files are parties, what is wrong with one, and where modules come from. */
#include "project_files.h"

#include "script/project.h"

static struct project_files files;
static struct config config;
static struct project *project;
static struct buf error;

static int set_up(void **state)
{
    (void)state;
    project_files_init(&files);
    config_init(&config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    project_unref(project);
    project = NULL;
    config_fini(&config);
    buf_fini(&error);
    project_files_fini(&files);
    return 0;
}

/* Opens the project with the limits of config; its error is a string then. */
static bool open_at(const char *root, struct string_list *env)
{
    struct config taken;

    config_init(&taken);
    taken.limits = config.limits;
    project_unref(project);
    error.len = 0;
    project = project_open(root, &taken, env, &error);
    assert_true((project != NULL) == (error.len == 0));
    assert_true((project != NULL) == (taken.host == NULL)); /* taken over, or left */
    assert_int_equal(buf_append(&error, "", 1), 0);
    config_fini(&taken);
    return project != NULL;
}

static bool open_project(void)
{
    return open_at(files.root, NULL);
}

static void expect_good(void)
{
    if (!open_project())
        fail_msg("%s", (char *)error.data);
}

static void expect_error(const char *wanted)
{
    if (open_project())
        fail_msg("the project was opened; wanted: %s", wanted);
    if (!strstr((char *)error.data, wanted))
        fail_msg("%s\n  does not have %s", (char *)error.data, wanted);
}

static const struct party *party(const char *name)
{
    return project_party(project, span_of(name));
}

/* ---- finding parties ---- */

static void parties_are_found(void **state)
{
    (void)state;
    project_files_write(&files, "parties/main.lua", "local P = {} function P:onStart() end return P");
    project_files_write(&files, "parties/chat/init.lua", "return {}");
    project_files_write(&files, "parties/chat/helper.lua", "return 1");
    project_files_write(&files, "parties/0-a_b.lua", "#!/usr/bin/env festa\nreturn {}");
    project_files_write(&files, "parties/bom.lua", "\xef\xbb\xbfreturn {}");
    project_files_write(&files, "parties/notes.txt", "not looked at");
    project_files_write(&files, "parties/.hidden.lua", "not looked at");
    project_files_write(&files, "parties/Folder/no_init.lua", "not looked at");
    expect_good();
    assert_int_equal(project->n_parties, 4);
    static const char *const names[] = {"0-a_b", "bom", "chat", "main"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(project->parties[i]->name, names[i]);
        assert_ptr_equal(party(names[i]), project->parties[i]);
    }
    static const char *const absent[] = {"", "a", "mai", "mainx", "z", "MAIN", "chat/helper", "..", "Folder"};
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        assert_null(party(absent[i]));
    assert_string_equal(party("main")->code->name, "parties/main.lua");
    assert_null(party("main")->folder);
    assert_string_equal(party("chat")->code->name, "parties/chat/init.lua");
    assert_non_null(strstr(party("chat")->folder, "/parties/chat"));
    assert_int_equal(party("main")->options.duplicate_id, DUPLICATE_ALLOW);
}

static void what_is_no_project(void **state)
{
    (void)state;
    expect_error("there is no folder parties/ in it");
    project_files_write(&files, "parties/readme.txt", "");
    expect_error("there is no party in it; a party is parties/NAME.lua or parties/NAME/init.lua");

    assert_false(open_at("/nonexistent/folder", NULL));
    assert_non_null(
        strstr((char *)error.data, "/nonexistent/folder: can't be read: No such file or directory"));
}

static void names_that_are_none(void **state)
{
    (void)state;
    static const char *const names[] = {"parties/Chat.lua",    "parties/_x.lua",  "parties/a b.lua",
                                        "parties/.lua.lua",    "parties/a.b.lua", "parties/Big/init.lua",
                                        "parties/\xc3\xa4.lua"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        project_files_write(&files, "parties/main.lua", "return {}");
        project_files_write(&files, names[i], "return {}");
        char wanted[128];
        snprintf(wanted, sizeof wanted, "%s: a party's name is of lower-case letters", names[i]);
        if (strcmp(names[i], "parties/.lua.lua") == 0) /* a hidden file */
            expect_good();
        else
            expect_error(wanted);
        project_files_fini(&files);
        project_files_init(&files);
    }
}

static void a_folder_that_is_none(void **state)
{
    (void)state;
    project_files_write(&files, "parties/main.lua", "return {}");
    project_files_write(&files, "parties/shared/words.lua", "return {}");
    expect_good();
    project_files_write(&files, "parties/chat/main.lua", "return {}");
    expect_error("parties/chat/main.lua: is no party; that of a folder is its init.lua");
    project_files_write(&files, "parties/chat/init.lua", "return {}");
    expect_good();
}

static void a_party_twice(void **state)
{
    (void)state;
    project_files_write(&files, "parties/chat.lua", "return {}");
    project_files_write(&files, "parties/chat/init.lua", "return {}");
    expect_error("the party chat is in parties/chat");
    assert_non_null(strstr((char *)error.data, "remove one of them"));
}

/* ---- scripts that are wrong ---- */

static void scripts_that_fail(void **state)
{
    (void)state;
    static const struct {
        const char *source, *wanted, *also;
    } rows[] = {
        {"return {\n  onStart = function()\n    x = }\n  end\n}\n-- the end\n-- not shown\n",
         "parties/main.lua:3: unexpected symbol near '}'\n"
         "       1 | return {\n"
         "       2 |   onStart = function()\n"
         "  >    3 |     x = }\n"
         "       4 |   end\n"
         "       5 | }",
         "unexpected"},
        {"local t\nt.x = 1\nreturn {}", "parties/main.lua:2: attempt to index a nil value (local 't')",
         "  >    2 | t.x = 1"},
        {"local function deep()\n  error('oh')\nend\ndeep()\nreturn {}", "parties/main.lua:2: oh\n",
         "'deep'"},
        {"error({})", "parties/main.lua", "table value"},
        {"error('no place', 0)", "no place", "parties/main.lua"},
        {"", "parties/main.lua:1: must return the party, a table of handlers, at its end; it returned nil",
         "parties/main.lua"},
        {"return 5", "it returned number", ""},
        {"\x1bLuaS", "parties/main.lua: this is bytecode; a script is Lua source", ""},
        {"return require 'nothing'", "no file 'lib/nothing.lua'", "parties/main.lua:1:"},
        {"local x\nreturn require 'unfinished'",
         "lib/unfinished.lua:2: unexpected symbol near '}'\n"
         "       1 | local M = {}\n"
         "  >    2 | M.x = }\n",
         "parties/main.lua:2: in the file scope"},
        {"return require 'raises'", "lib/raises.lua:1: oh\n  >    1 | error('oh')",
         "lib/raises.lua:1: in the file scope"},
        {"error('of its own:7: making')", "parties/main.lua:1: of its own:7: making", ""},
        {"party.broadcast('x') return {}", "parties/main.lua:1: ", ""},
        {"sleep(1) return {}", "waiting is possible", "parties/main.lua:1"},
    };
    project_files_write(&files, "lib/unfinished.lua", "local M = {}\nM.x = }");
    project_files_write(&files, "lib/raises.lua", "error('oh')");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        project_files_write(&files, "parties/main.lua", rows[i].source);
        expect_error(rows[i].wanted);
        expect_error(rows[i].also);
        assert_null(strstr((char *)error.data, "not shown"));
    }
}

static void handlers_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *source, *wanted;
    } rows[] = {
        {"local P = {}\n\nfunction P:onMesage() end\nreturn P",
         "parties/main.lua:3: onMesage is no handler; did you mean onMessage?\n"},
        {"return { onXyzzyPlugh = function() end }", "parties/main.lua:1: onXyzzyPlugh is no handler\n"},
        {"return {\n  onStart = 'x',\n}", "parties/main.lua:2: onStart is a string, not a function"},
        {"return { getConnectionTags = {} }", "getConnectionTags is a table, not a function"},
        {"return { onBeforeConnect = 1 }", "onBeforeConnect is a number, not a function"},
        {"return { onBeforeRequests = function() end }",
         "onBeforeRequests is no handler; did you mean onBeforeRequest?"},
        {"return { onfetch = function() end }", "onfetch is no handler; did you mean onFetch?"},
        {"return { onCrom = function() end }", "onCrom is no handler; did you mean onCron?"},
        {"local P = {}\nfunction onRequest(request) end\nreturn P",
         "parties/main.lua:2: onRequest is a global function, which nobody calls; a handler is in the table "
         "that the "
         "file returns: function M:onRequest(…)\n"},
        {"return {\n options = 5 }", "parties/main.lua:2: options is a number, not a table"},
        {"return { options = { duplicateID = 'allow' } }",
         "duplicateID is no option; did you mean duplicateId?"},
        {"return { options = { whatever = 1 } }", "whatever is no option\n"},
        {"return { options = {\n duplicateId = 'reject all' } }",
         "parties/main.lua:2: duplicateId is one of \"allow\", \"replace\" and \"reject\""},
        {"return { options = { duplicateId = 1 } }", "duplicateId is one of"},
        {"return { options = { hibernate = 1 } }", "hibernate is a number, not true or false"},
        {"return { options = { persist = 'yes' } }", "persist is a string, not true or false"},
        {"return { options = { 1 } }", "options has a number as a key"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        project_files_write(&files, "parties/main.lua", rows[i].source);
        expect_error(rows[i].wanted);
    }
}

static void what_a_party_may_have(void **state)
{
    (void)state;
    static const char source[] =
        "local P = { options = { duplicateId = 'replace', persist = true, hibernate = true } }\n"
        "function P:onStart() end function P:onConnect() end function P:onMessage() end function P:onClose() "
        "end\n"
        "function P:onError() end function P:onRequest() end function P:onStop() end\n"
        "function P:getConnectionTags() end\n"
        "function P:onward() end P.on = 1 P.one = 2 P.helper = {} P[1] = 5\n"
        "function onClose() end P.onClose = onClose function helper() end\n"
        "return P";
    project_files_write(&files, "parties/main.lua", source);
    project_files_write(&files, "parties/other.lua", "return { options = { duplicateId = 'reject' } }");
    expect_good();
    assert_int_equal(party("main")->options.duplicate_id, DUPLICATE_REPLACE);
    assert_int_equal(party("other")->options.duplicate_id, DUPLICATE_REJECT);
}

/* Which hooks a party has, be it behind its metatable. */
static void hooks_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        bool connect, request, fetch, cron;
    } rows[] = {
        {"return {}", false, false, false, false},
        {"local P = {} function P:onBeforeConnect() end return P", true, false, false, false},
        {"local P = {} function P:onBeforeRequest() end function P:onFetch() end function P:onCron() end "
         "return "
         "P",
         false, true, true, true},
        {"return setmetatable({}, { __index = { onBeforeConnect = function() end } })", true, false, false,
         false},
        {"return setmetatable({}, { __index = function() end })", true, true, true, true}, /* it may have */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        project_files_write(&files, "parties/main.lua", rows[i].source);
        expect_good();
        const bool *hooks = party("main")->hooks;
        assert_int_equal(hooks[HOOK_CONNECT], rows[i].connect);
        assert_int_equal(hooks[HOOK_REQUEST], rows[i].request);
        assert_int_equal(hooks[HOOK_FETCH], rows[i].fetch);
        assert_int_equal(hooks[HOOK_CRON], rows[i].cron);
    }
    project_files_write(&files, "parties/other.lua", "return setmetatable({}, { __index = function() end })");
    expect_good();
    assert_true(party("other")->hooks[HOOK_CONNECT] && !party("other")->hooks[HOOK_FETCH]);
    project_files_write(&files, "parties/other.lua", "return {\n onCron = function() end }");
    expect_error("parties/other.lua:2: onCron is called in the party main alone");
    project_files_write(&files, "parties/other.lua", "return {\n onFetch = function() end }");
    expect_error("parties/other.lua:2: onFetch is called in the party main alone");
}

static void crons_need_somebody(void **state)
{
    (void)state;
    struct config taken;
    struct buf why = {0};

    static const struct {
        const char *file, *source, *wanted;
    } rows[] = {
        {"parties/chat.lua", "return {}",
         "parties/main.lua: is missing: the configuration has crons (nightly), which run in the party main"},
        {"parties/main.lua", "return {}",
         "parties/main.lua: has no onCron, and the configuration has crons (nightly)"},
        {"parties/main.lua", "return { onCron = function() end }", NULL},
    };
    for (size_t i = 0; i < 3; i++) {
        project_files_write(&files, rows[i].file, rows[i].source);
        config_init(&taken);
        assert_true(config_add_cron(&taken, "nightly", "0 3 * * *", &why));
        project_unref(project);
        error.len = 0;
        project = project_open(files.root, &taken, NULL, &error);
        assert_int_equal(buf_append(&error, "", 1), 0);
        if (rows[i].wanted ? !strstr((char *)error.data, rows[i].wanted) : !project)
            fail_msg("%s", (char *)error.data);
        config_fini(&taken);
    }
}

static void all_mistakes_are_said_at_once(void **state)
{
    (void)state;
    project_files_write(&files, "parties/a.lua", "return { onX = 1, onStrat = function() end }");
    project_files_write(&files, "parties/b.lua", "return {");
    project_files_write(&files, "parties/c.lua", "error 'c fails'");
    project_files_write(&files, "parties/D.lua", "return {}");
    static const char *const wanted[] = {"parties/a.lua:1: onX is no handler",
                                         "onStrat is no handler; did you mean onStart",
                                         "parties/b.lua:1: unexpected symbol near <eof>",
                                         "parties/c.lua:1: c fails", "parties/D.lua: a party's name"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        expect_error(wanted[i]);
    assert_non_null(strstr((char *)error.data, "\n\nparties/"));
}

static void too_little_memory_is_said(void **state)
{
    (void)state;
    project_files_write(&files, "parties/main.lua", "local t = {} for i = 1, 1e6 do t[i] = {} end return {}");
    config.limits.handler_time =
        60000; /* a Lua that collects at every chance takes long to use its memory up */
    config.limits.room_memory = 256 * 1024;
    expect_error("memory is used up");
    config.limits.room_memory = 4096;
    expect_error("is too little to load a script");
}

static void variables_are_there(void **state)
{
    (void)state;
    project_files_write(&files, "parties/main.lua",
                        "assert(party.env.A == 'b=c' and party.env.B == nil and party.name == 'main')\n"
                        "assert(party.id == nil) return {}");
    struct string_list env = {0};
    string_list_add(&env, "A=b=c");
    if (!open_at(files.root, &env))
        fail_msg("%s", (char *)error.data);
    assert_int_equal(env.count, 0);
}

/* ---- modules ---- */

static const struct code *module(const char *party_name, const char *name)
{
    error.len = 0;
    struct code *code =
        project_module(project_party(project, span_of(party_name)), span_of(name), NULL, &error);
    assert_true((code != NULL) == (error.len == 0));
    assert_int_equal(buf_append(&error, "", 1), 0);
    code_unref(code); /* the project keeps it */
    return code;
}

static void expect_no_module(const char *party_name, const char *name, const char *wanted)
{
    assert_null(module(party_name, name));
    if (!strstr((char *)error.data, wanted))
        fail_msg("%s\n  does not have %s", (char *)error.data, wanted);
}

static void modules(void **state)
{
    (void)state;
    project_files_write(&files, "parties/main.lua", "return {}");
    project_files_write(&files, "parties/chat/init.lua", "return {}");
    project_files_write(&files, "parties/chat/own.lua", "return 1");
    project_files_write(&files, "parties/chat/sub/deep.lua", "return 1");
    project_files_write(&files, "lib/shared.lua", "return 1");
    project_files_write(&files, "lib/a/b.lua", "return 1");
    project_files_write(&files, "lib/broken.lua", "return 1 +");
    project_files_write(&files, "secret.lua", "return 1");
    expect_good();

    const struct code *shared = module("main", "shared");
    assert_non_null(shared);
    assert_string_equal(shared->name, "lib/shared.lua");
    assert_ptr_equal(module("main", "shared"), shared); /* compiled once */
    assert_non_null(module("chat", "shared"));
    assert_string_equal(module("main", "a.b")->name, "lib/a/b.lua");
    assert_string_equal(module("main", "a/b")->name, "lib/a/b.lua");
    assert_string_equal(module("chat", "own")->name, "parties/chat/own.lua");
    assert_string_equal(module("chat", "sub.deep")->name, "parties/chat/sub/deep.lua");
    expect_no_module("main", "own", "module 'own' not found:\n\tno file 'lib/own.lua'");
    expect_no_module("chat", "x.y", "no file 'lib/x/y.lua'\n\tno file 'parties/chat/x/y.lua'");
    expect_no_module("main", "shared.x", "not found");
    expect_no_module("main", "secret", "not found");
    expect_no_module("main", "broken", "lib/broken.lua:1: unexpected symbol near <eof>");
    static const char *const bad[] = {"",   ".",  "..",       "../secret", "..secret", "a..b",
                                      "/a", "a/", "./shared", "a b",       "é"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_no_module("main", bad[i], "is no module's name");
    expect_no_module("main", "lib/shared", "no file 'lib/lib/shared.lua'");
    project_files_write(&files, "parties/chat/shared.lua", "return 1");
    expect_good();
    expect_no_module("chat", "shared", "may be lib/shared.lua or parties/chat/shared.lua");
    assert_non_null(module("main", "shared"));
}

static void links(void **state)
{
    (void)state;
    struct project_files outside;

    project_files_init(&outside);
    project_files_write(&outside, "evil.lua", "return {}");
    char target[128], folder[128];
    snprintf(target, sizeof target, "%s/evil.lua", outside.root);
    snprintf(folder, sizeof folder, "%s", outside.root);

    project_files_write(&files, "parties/main.lua", "return {}");
    project_files_write(&files, "lib/good.lua", "return 1");
    project_files_link(&files, "lib/inside.lua", "good.lua");
    project_files_link(&files, "lib/evil.lua", target);
    project_files_link(&files, "lib/out", folder);
    project_files_link(&files, "lib/dangling.lua", "nothing.lua");
    project_files_link(&files, "lib/turning.lua", "turning.lua");
    expect_good();
    assert_non_null(module("main", "inside"));
    expect_no_module("main", "evil", "lib/evil.lua leads out of the project");
    expect_no_module("main", "out.evil", "lib/out/evil.lua leads out of the project");
    expect_no_module("main", "dangling", "not found");
    expect_no_module("main", "turning", "symbolic links");

    project_files_link(&files, "parties/evil.lua", target);
    expect_error("parties/evil.lua: leads out of the project");
    assert_int_equal(unlink(project_files_path(&files, "parties/evil.lua")), 0);
    project_files_link(&files, "parties/linked.lua", "main.lua");
    expect_good();
    assert_non_null(party("linked"));
    project_files_fini(&outside);

    /* A root whose name begins like the project's is outside too. */
    char sibling[160], link[160];
    snprintf(sibling, sizeof sibling, "%s-sibling.lua", files.root);
    int fd = open(sibling, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
    snprintf(link, sizeof link, "%s", sibling);
    project_files_link(&files, "lib/sibling.lua", link);
    expect_no_module("main", "sibling", "leads out of the project");
    assert_int_equal(unlink(sibling), 0);
}

static void excerpts(void **state)
{
    (void)state;
    struct buf out = {0};
    char source[400];
    memset(source, 'x', sizeof source);
    memcpy(source, "a\tb\x1b[31m\r\n\n", 11);
    source[sizeof source - 1] = '\0';
    project_files_write(&files, "x.lua", source);
    const char *path = project_files_path(&files, "x.lua");

    code_excerpt(path, 1, &out);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_non_null(strstr((char *)out.data, "\n  >    1 | a b [31m\n       2 |\n       3 | xxx"));
    assert_null(strchr((char *)out.data, '\x1b'));
    assert_true(out.len < 180 && strstr((char *)out.data, "xxx…"));
    out.len = 0;
    code_excerpt(path, 4, &out); /* behind the last: where a missing `end` is missed */
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_non_null(strstr((char *)out.data, "\n       2 |\n  >    3 | xxx"));
    out.len = 0;
    code_excerpt(path, 100, &out);
    code_excerpt(project_files_path(&files, "none.lua"), 1, &out);
    assert_int_equal(out.len, 0);
    buf_fini(&out);

    project_files_write(&files, "words.lua", "portal = 1\nreport = 2\nport = 3\nport = 4\n");
    path = project_files_path(&files, "words.lua");
    assert_int_equal(code_line_of(path, "port"), 3);
    assert_int_equal(code_line_of(path, "portal"), 1);
    assert_int_equal(code_line_of(path, "por"), 0);
    assert_int_equal(code_line_of(path, ""), 0);
    assert_int_equal(code_line_of(project_files_path(&files, "none.lua"), "port"), 0);

    const char *message;
    assert_int_equal(code_error_line("parties/a.lua:12: oh: 13: no", &message), 12);
    assert_string_equal(message, "oh: 13: no");
    assert_int_equal(code_error_line("no place: at all", &message), 0);
    assert_string_equal(message, "no place: at all");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(parties_are_found),
        TEST(what_is_no_project),
        TEST(names_that_are_none),
        TEST(a_folder_that_is_none),
        TEST(a_party_twice),
        TEST(scripts_that_fail),
        TEST(handlers_are_checked),
        TEST(what_a_party_may_have),
        TEST(hooks_are_known),
        TEST(crons_need_somebody),
        TEST(all_mistakes_are_said_at_once),
        TEST(too_little_memory_is_said),
        TEST(variables_are_there),
        TEST(modules),
        TEST(links),
        TEST(excerpts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
