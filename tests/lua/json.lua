local function again(text) return json.encode(json.decode(text)) end

test("plain values", function()
  eq(json.encode(nil), "null")
  eq(json.encode(true), "true")
  eq(json.encode("x"), '"x"')
  eq(json.encode(json.null), "null")
  eq(json.decode "null", json.null)
  eq(json.decode " false ", false)
  eq(json.decode '"x"', "x")
  raises("value expected", json.encode)
  raises("string expected", json.decode)
end)

test("integers stay integers, floats floats", function()
  for _, n in ipairs { 0, 1, -1, 42, math.maxinteger, math.mininteger, 9007199254740993 } do
    eq(json.decode(json.encode(n)), n)
    eq(math.type(json.decode(json.encode(n))), "integer")
  end
  for _, n in ipairs { 0.0, 1.0, -1.0, 0.1, 1e300, 5e-324, 1.7976931348623157e308, 2 ^ 53, 0.1 + 0.2, -2.5e-7 } do
    eq(json.decode(json.encode(n)), n)
    eq(math.type(json.decode(json.encode(n))), "float")
  end
  eq(json.encode(1.0), "1.0")
  eq(json.encode(0.1), "0.1")
  eq(json.encode(0.1 + 0.2), "0.30000000000000004")
  eq(json.encode(math.mininteger), "-9223372036854775808")
  eq(json.decode "-0", 0)
  eq(1 / json.decode "-0.0", -math.huge)
  eq(json.decode "1E2", 100.0)
  raises("NaN and infinities", json.encode, 0 / 0)
  raises("NaN and infinities", json.encode, math.huge)
  raises("NaN and infinities", json.encode, -math.huge)
  raises("line 1, column 1: the number is out of range", json.decode, "9223372036854775808")
  raises("line 1, column 2: the number is out of range", json.decode, "[-9223372036854775809]")
  raises("out of range", json.decode, "1e999")
  raises("out of range", json.decode, "100000000000000000000000000000000000")
end)

test("strings", function()
  eq(json.encode 'a"b\\c/d\b\f\n\r\t\0\31\127', [["a\"b\\c/d\b\f\n\r\t\u0000\u001f]] .. "\127\"")
  eq(json.decode [["\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00\u0000"]], "\"\\/\b\f\n\r\tAé€😀\0")
  for _, text in ipairs { "", "é", "€", "😀", ("x"):rep(7), ("x"):rep(8), ("x"):rep(9), ("é"):rep(1000),
                          ("x"):rep(100000), ('"'):rep(5000), ("\n"):rep(1001) } do
    eq(json.decode(json.encode(text)), text)
  end
  for i = 1, 20 do -- the special one in every place of a word
    local text = ("a"):rep(i) .. '"' .. ("b"):rep(20 - i) .. "\1"
    eq(json.decode(json.encode(text)), text)
  end
  for _, bad in ipairs { "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", ("x"):rep(20) .. "\x80" } do
    raises("a string is not valid UTF-8", json.encode, bad)
    raises("invalid UTF-8", json.decode, '"' .. bad .. '"')
  end
  raises("line 1, column 5: invalid UTF-8", json.decode, '"abc\xff"')
  raises("line 1, column 2: half of a surrogate pair", json.decode, [["\ud83d"]])
  raises("half of a surrogate pair", json.decode, [["\ude00"]])
  raises("half of a surrogate pair", json.decode, [["\ud83d\ud83d"]])
  raises("line 1, column 4: no such escape", json.decode, [["ab\q"]])
  raises("four hexadecimal digits", json.decode, [["\u12g4"]])
  raises("control character", json.decode, '"a\nb"')
  raises("the text ends too early", json.decode, '"abc')
  raises("the text ends too early", json.decode, '"abc\\')
end)

test("arrays and objects", function()
  eq(json.encode { 1, 2, 3 }, "[1,2,3]")
  eq(json.encode { a = 1 }, '{"a":1}')
  eq(json.encode { { a = { true, false } } }, '[{"a":[true,false]}]')
  eq(json.decode '{"a":[1,2,{"b":"c"}],"d":{}}', { a = { 1, 2, { b = "c" } }, d = {} })
  eq(json.decode '{"a":1,"b":2,"a":3}', { a = 3, b = 2 })
  eq(json.decode '{"":1}', { [""] = 1 })
  eq(json.decode '{"1":1}', { ["1"] = 1 })
  local backwards = {}
  for i = 50, 1, -1 do backwards[i] = i end
  local forwards = {}
  for i = 1, 50 do forwards[i] = i end
  eq(json.encode(backwards), json.encode(forwards))
  for _, n in ipairs { 31, 32, 33, 63, 64, 65, 127, 128, 129 } do
    local list, object = {}, {}
    for i = 1, n do
      list[i] = i
      object["k" .. i] = i
    end
    eq(json.decode(json.encode(list)), list)
    eq(json.decode(json.encode(object)), object)
  end
end)

test("empty tables", function()
  eq(json.encode {}, "[]")
  eq(again "{}", "{}")
  eq(again "[]", "[]")
  eq(again '{"a":{},"b":[]}':gsub('"b":%[%],"a":{}', '"a":{},"b":[]'), '{"a":{},"b":[]}')
  eq(again '{"a":null}', "{}")
  eq(json.encode(json.object {}), "{}")
  eq(json.encode(json.array {}), "[]")
end)

test("null", function()
  eq(json.decode '{"a":null,"b":1}', { b = 1 })
  eq(json.decode('{"a":null}', { null = json.null }), { a = json.null })
  local list = json.decode "[1,null,3]"
  eq(#list, 3)
  eq(list[2], json.null)
  eq(json.encode(list), "[1,null,3]")
  eq(json.encode { a = json.null }, '{"a":null}')
  eq(tostring(json.null), "null")
  eq(json.decode('{"a":1,"a":null}'), {})
  raises("json.null or nothing", json.decode, "1", { null = 1 })
  raises("the only option here is \"null\"", json.decode, "1", { nul = json.null })
  raises("the only option here is \"pretty\"", json.encode, 1, { prety = true })
end)

test("marks", function()
  local object = json.object { [1] = "a", [2] = "b", c = "d" }
  eq(json.decode(json.encode(object)), { ["1"] = "a", ["2"] = "b", c = "d" })
  eq(json.encode(json.object { [10] = 1 }), '{"10":1}')
  eq(json.encode(json.object { [-1] = 1 }), '{"-1":1}')
  raises("both as an integer and as a string", json.encode, json.object { [1] = 1, ["1"] = 2 })
  raises("a table marked as an array has string keys", json.encode, json.array { a = 1 })
  raises("holes", json.encode, json.array { [2] = 1 })
  local t = json.object {}
  eq(rawequal(json.array(t), t), true)
  eq(json.encode(t), "[]")
  eq(json.encode(json.object(t)), "{}")
  eq(getmetatable(t), false)
  -- A mark is no metatable of the script's own: it gives way to one.
  local Class = { __index = { hello = function() return "hello" end } }
  eq(setmetatable(json.decode "{}", Class).hello(), "hello")
  eq(rawequal(getmetatable(setmetatable(t, Class)), Class), true)
  raises("__jsontype = \"object\"", json.object, t)
  Class.__jsontype = "object"
  eq(json.encode(t), "{}")
  Class.__jsontype = "array"
  eq(json.encode(t), "[]")
  Class.__jsontype = "list"
  raises("__jsontype is", json.encode, t)
  raises("table expected", json.array)
  raises("table expected", json.object, "x")
end)

test("what has no place", function()
  raises("json: a function has no place in JSON", json.encode, print)
  raises("(at players[2].run)", json.encode, { players = { 1, { run = print } } })
  raises("(at [1][1])", json.encode, { { print } })
  raises('(at ["a b"])', json.encode, { ["a b"] = print })
  raises("(at [...][1])", json.encode, { ["a\n"] = { print } })
  raises("a thread", json.encode, { coroutine.create(print) })
  raises("both string and integer keys", json.encode, { 1, 2, a = 3 })
  raises("both string and integer keys", json.encode, { a = 1, [5] = 3 })
  raises("holes", json.encode, { 1, nil, 3 })
  raises("holes", json.encode, { [0] = 1 })
  raises("holes", json.encode, { [2] = 1 })
  raises("a number is no key", json.encode, { [1.5] = 1 })
  raises("a boolean is no key", json.encode, { [true] = 1 })
  raises("not valid UTF-8", json.encode, { ["\xff"] = 1 })
  local cycle = {}
  cycle.me = cycle
  raises("is there a cycle", json.encode, cycle)
end)

test("depth", function()
  local function nested(n) return ("["):rep(n) .. ("]"):rep(n) end
  eq(again(nested(128)), nested(128))
  raises("line 1, column 129: more than 128", json.decode, nested(129))
  raises("more than 128", json.decode, ("["):rep(100000))
  raises("more than 128", json.decode, ('{"a":'):rep(100000))
  local deep = json.decode(nested(128))
  raises("more than 128", json.encode, { deep })
  eq(#json.encode(deep), 256)
end)

test("errors say where", function()
  local rows = {
    { "", 1, 1, "the text ends too early" },
    { "  ", 1, 3, "the text ends too early" },
    { "[1,\n 2,\n x]", 3, 2, "a value expected" },
    { "[1 2]", 1, 4, "',' or ']' expected" },
    { '{"a" 1}', 1, 6, "':' expected" },
    { '{"a":1 "b"}', 1, 8, "',' or '}' expected" },
    { "{a:1}", 1, 2, "a key in quotes expected" },
    { '{"a":1,}', 1, 8, "a key in quotes expected" },
    { "[1,]", 1, 4, "a value expected" },
    { "[,1]", 1, 2, "a value expected" },
    { "1 2", 1, 3, "something follows the value" },
    { "[]]", 1, 3, "something follows the value" },
    { "[1", 1, 3, "the text ends too early" },
    { "[1,", 1, 4, "the text ends too early" },
    { '{"a"', 1, 5, "the text ends too early" },
    { '{"a":', 1, 6, "the text ends too early" },
    { "01", 1, 1, "a number begins with a zero" },
    { "-", 1, 2, "the text ends too early" },
    { "-x", 1, 2, "a digit expected" },
    { "1.", 1, 3, "the text ends too early" },
    { "1.e1", 1, 3, "a digit expected" },
    { "1e", 1, 3, "the text ends too early" },
    { "+1", 1, 1, "a value expected" },
    { ".5", 1, 1, "a value expected" },
    { "tru", 1, 1, "a value expected" },
    { "nul", 1, 1, "a value expected" },
    { "True", 1, 1, "a value expected" },
    { "NaN", 1, 1, "a value expected" },
    { "'a'", 1, 1, "a value expected" },
    { "\xef\xbb\xbf[]", 1, 1, "a value expected" },
    { "[1]\0", 1, 4, "something follows the value" },
    { "\n\n\n  [é", 4, 4, "a value expected" },
    { "/* */ 1", 1, 1, "a value expected" },
    { "\v1", 1, 1, "a value expected" },
  }
  for _, row in ipairs(rows) do
    local ok, message = pcall(json.decode, row[1])
    eq(ok, false)
    eq(message, ("JSON error in line %d, column %d: %s"):format(row[2], row[3], row[4]))
  end
end)

test("pretty", function()
  eq(json.encode({ a = { 1, { b = true } } }, { pretty = true }), [[
{
  "a": [
    1,
    {
      "b": true
    }
  ]
}]])
  eq(json.encode({}, { pretty = true }), "[]")
  eq(json.encode(json.object {}, { pretty = true }), "{}")
  eq(json.encode({ 1 }, { pretty = false }), "[1]")
end)

test("large values", function()
  local list = {}
  for i = 1, 150 do list[i] = { id = i, name = "player " .. i, score = i / 7, tags = { "a", "b" } } end
  eq(json.decode(json.encode(list)), list)
end)

test("tables are read without metamethods", function()
  local t = setmetatable({ a = 1 }, {
    __index = function() error "__index" end,
    __pairs = function() error "__pairs" end,
    __len = function() error "__len" end,
  })
  eq(json.encode(t), '{"a":1}')
end)
