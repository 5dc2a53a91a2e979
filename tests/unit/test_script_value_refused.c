/* What can't be written as bytes, and with which words it is refused. */
#include "value_driver.h"

struct refused {
    const char *chunk, *message;
};

static const struct refused refusals[] = {
    {"return nil", "can't be stored: value is nil"},
    {"return print", "can't be stored: value is a function"},
    {"return { players = { 1, 2, { callback = print } } }",
     "can't be stored: value.players[3].callback is a function"},
    {"return { { coroutine.create(print) } }", "can't be stored: value[1][1] is a thread"},
    {"return { ['a b'] = Response('x') }", "can't be stored: value[\"a b\"] is a Response"},
    {"return { ['a\\n'] = { print } }", "can't be stored: value[...][1] is a function"},
    {"return { ['\"'] = print }", "can't be stored: value[...] is a function"},
    {"return { [('x'):rep(41)] = print }", "can't be stored: value[...] is a function"},
    {"return { [1.5] = { [true] = { [-1] = print } } }",
     "can't be stored: value[1.5][true][-1] is a function"},
    {"return { a = { [print] = 1 } }", "can't be stored: value.a has a key that is a function"},
    {"return { [{}] = 1 }", "can't be stored: value has a key that is a table"},
    {"return { [json.null] = 1 }", "can't be stored: value has a key that is a userdata"},
    {"return { a = setmetatable({}, {}) }", "can't be stored: value.a has a metatable"},
    {"return setmetatable({}, { __jsontype = 'array' })", "can't be stored: value has a metatable"},
    {"return setmetatable({}, { __metatable = false })", "can't be stored: value has a metatable"},
    {"return setmetatable(json.array({}), {})", "can't be stored: value has a metatable"},
    {"return party", "can't be stored: value has a metatable"},
    {"local t = {} t[1] = t return t", "can't be stored: value[1] is value again, a cycle"},
    {"local t = { a = {} } t.a[2] = { b = t.a } return t",
     "can't be stored: value.a[2].b is value.a again, a cycle"},
    {"local t = {} for i = 1, 40 do t = { t, t } end return t",
     "can't be stored: value takes more than 2097152 bytes (storageValue)"},
    {"return { ('x'):rep(2097152) }", "can't be stored: value takes more than 2097152 bytes (storageValue)"},
};

static int encode(lua_State *L)
{
    value_encode(L, 1, lua_touserdata(L, 2));
    return 0;
}

/* Tries to write the value at the top; pushes the error. */
static const char *refuse(lua_State *L, const struct value_terms *conditions)
{
    lua_pushcfunction(L, encode);
    lua_pushvalue(L, -2);
    lua_pushlightuserdata(L, (void *)conditions);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK)
        return "it was written";
    return lua_tostring(L, -1);
}

static int check_refusal(lua_State *L)
{
    const struct refused *refused = lua_touserdata(L, 1);

    push(L, refused->chunk);
    const char *message = refuse(L, &terms);
    if (strcmp(message, refused->message) != 0)
        fail_msg("%s: %s", refused->chunk, message);
    return 0;
}

static void what_is_no_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        run(check_refusal, (void *)&refusals[i]);
}

static int check_depth(lua_State *L)
{
    static const char message[] = "is inside of more than 128 tables";
    static const char cut[] = "…";

    push(L, "local t = {} for i = 1, 128 do t = { a = t } end return t");
    const char *text = refuse(L, &terms);
    if (!strstr(text, "value.a.a.a.") || !strstr(text, cut) || !strstr(text, message))
        fail_msg("%s", text);
    push(L, "local t = {} for i = 1, 1000 do t = { t } end return t");
    assert_non_null(strstr(refuse(L, &terms), message));
    /* Its own name: as a script sees it, with where it stood. */
    const struct value_terms self = {.refusal = "can't be kept", .name = "self", .limit_bytes = 100};
    push(L, "return { a = print }");
    assert_string_equal(refuse(L, &self), "can't be kept: self.a is a function");
    push(L, "return ('x'):rep(100)");
    assert_string_equal(refuse(L, &self), "can't be kept: self takes more than 100 bytes");
    return 0;
}

static void what_is_too_deep(void **state)
{
    (void)state;
    run(check_depth, NULL);
}

/* Each limit below its size refuses a value, however much room is left in the buffer; its size does not. */
static int check_limits(lua_State *L)
{
    struct value_terms tight = terms;
    const char *written = "it was written";

    push(L,
         "local t = { 1, 2.5, 'text', json.null, json.object({ a = { true } }), ('x'):rep(100), 1 << 40 }\n"
         "for i = 1, 300 do t['k' .. i] = i end return t");
    size_t size = value_encode(L, -1, &terms).len;
    int top = lua_gettop(L);
    for (tight.limit_bytes = 0; tight.limit_bytes <= size + 1; tight.limit_bytes++) {
        bool fits = tight.limit_bytes >= size;
        assert_true((strcmp(refuse(L, &tight), written) == 0) == fits);
        lua_settop(L, top);
        if (tight.limit_bytes % 7 == 0)
            buf_fini(&driver.script.encoded);
    }
    tight.limit_bytes = SIZE_MAX;
    assert_int_equal(value_encode(L, top, &tight).len, size);
    return 0;
}

static void limits(void **state)
{
    (void)state;
    run(check_limits, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_no_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_too_deep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
