test("tostring shows no addresses", function()
  local t, f = {}, function() end
  eq(tostring(t), tostring(t))
  eq(tostring(t) ~= tostring({}), true)
  eq(tostring(t):match "^table: 0x%x+$", tostring(t))
  eq(#tostring(t) < 16, true)
  eq(tostring(f):match "^function: 0x%x+$", tostring(f))
  eq(tostring(print):match "^function: 0x%x+$", tostring(print))
  eq(tostring(coroutine.create(f)):match "^thread: 0x%x+$" ~= nil, true)
  eq(string.format("%s|%5s|%%", t, true), tostring(t) .. "| true|%")
  eq(string.format("%d%% of %s", 5, t), "5% of " .. tostring(t))
  raises("invalid conversion '%p'", string.format, "%p", t)
  raises("invalid conversion '%p'", string.format, "%d %-20p", 1, t)
  raises("invalid conversion '%p'", string.format, "\0%p", t)
  raises("number expected, got table", string.format, "%d", t)
  raises("bad argument #3 to 'format' (no value)", function() string.format("%s%s", t) end)
  raises("invalid conversion '%' to 'format'", string.format, "%", 1)
end)

test("tostring of the rest", function()
  eq(tostring(nil), "nil")
  eq(tostring(1), "1")
  eq(tostring(1.0), "1.0")
  eq(tostring(false), "false")
  eq(tostring("x"), "x")
  eq(tostring(json.null), "null")
  eq(tostring(setmetatable({}, { __tostring = function() return "me" end })), "me")
  eq(string.format("%s", setmetatable({}, { __tostring = function() return "me" end })), "me")
  eq(tostring(setmetatable({}, { __name = "Point" })):match "^Point: 0x%x+$" ~= nil, true)
  raises("'__tostring' must return a string", tostring, setmetatable({}, { __tostring = function() return {} end }))
  raises("value expected", tostring)
end)

test("setmetatable knows no finalizers", function()
  raises("__gc", setmetatable, {}, { __gc = function() end })
  raises("__gc", setmetatable, {}, { __gc = false })
  local metatable = {}
  local t = setmetatable({}, metatable)
  metatable.__gc = function() ran = true end
  t = nil
  eq(getmetatable(setmetatable({}, { __metatable = "mine" })), "mine")
  raises("protected metatable", setmetatable, setmetatable({}, { __metatable = 1 }), {})
  raises("nil or table expected", setmetatable, {}, 1)
  raises("table expected", setmetatable, 1, {})
  local plain = {}
  eq(rawequal(setmetatable(plain, nil), plain), true)
end)

test("__close works", function()
  local closed
  do
    local guard <close> = setmetatable({}, { __close = function() closed = true end })
  end
  eq(closed, true)
end)

test("pairs, next and rawget", function()
  local t = setmetatable({}, { __pairs = function(t) return function(_, k) return not k and 1 or nil end, t, nil end })
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  eq(n, 1)
  eq(rawequal((pairs {}), next), true)
  eq(select("#", next {}), 1)
  eq(next({ 5 }), 1)
  raises("table expected", next)
  raises("value expected", pairs)
  raises("table expected, got nil", function() for _ in pairs(nil) do end end)
  eq(rawget(setmetatable({}, { __index = function() return 1 end }), "x"), nil)
  eq(rawlen { 1, 2 }, 2)
  raises("table expected", rawget, 1, 2)
end)

test("load takes text alone", function()
  eq(load "return 1 + 1" (), 2)
  eq(load("return x", "=x", "t", { x = 5 })(), 5)
  eq(load("return x", "=x", "bt", { x = 6 })(), 6)
  x = 7
  eq(load "return x" (), 7)
  x = nil
  local chunk, message = load("return 1 +", "=broken")
  eq(chunk, nil)
  eq(message, "broken:1: unexpected symbol near <eof>")
  chunk, message = load "\27Lua"
  eq(chunk, nil)
  eq(message:find("attempt to load a binary chunk", 1, true) ~= nil, true)
  chunk, message = load("return 1", "=x", "b")
  eq(chunk, nil)
  eq(message:find("attempt to load a text chunk", 1, true) ~= nil, true)
end)

test("load takes pieces", function()
  local pieces = { "return ", "4", "2" }
  local i = 0
  eq(load(function() i = i + 1 return pieces[i] end)(), 42)
  local long = ("-"):rep(1000) .. "\n"
  local count = 0
  eq(load(function() count = count + 1 return count < 20 and long or count == 20 and "return 1" or "" end)(), 1)
  raises("reader function must return a string", load, function() return {} end)
  raises("oops", load, function() error "oops" end)
  raises("at most 262144 bytes", load, function() return long end)
  raises("at most 262144 bytes", load, (" "):rep(262145))
  eq(load((" "):rep(262144))(), nil)
  raises("function expected", load)
end)

test("collectgarbage counts, and no more", function()
  eq(math.type(collectgarbage "count"), "float")
  eq(collectgarbage "count" > 4, true)
  raises("\"count\" only", collectgarbage)
  raises("\"count\" only", collectgarbage, "stop")
end)

test("debug.traceback is bounded", function()
  local text = debug.traceback("message")
  eq(text:sub(1, 26), "message\nstack traceback:\n\t")
  eq(text:find("base.lua:", 1, true) ~= nil, true)
  local t = {}
  eq(rawequal(debug.traceback(t), t), true)
  eq(debug.traceback(nil):sub(1, 16), "stack traceback:")
  local function deep(n)
    if n == 0 then return (debug.traceback "deep") end
    return (deep(n - 1))
  end
  local lines = select(2, deep(100):gsub("\n", ""))
  eq(lines, 24)
  eq(deep(100):sub(-3), "...")
  local co = coroutine.create(function() coroutine.yield() end)
  coroutine.resume(co)
  eq(debug.traceback(co, "in it"):find("yield", 1, true) ~= nil, true)
  eq(debug.traceback("x", 1000), "x\nstack traceback:")
  eq(debug.traceback("x", -1), "x\nstack traceback:")
  local long = { [("n"):rep(1000)] = function() return (debug.traceback "") end }
  eq(#load("local t = ... return (t." .. ("n"):rep(1000) .. "())")(long) < 4000, true)
end)

test("errors are as in Lua", function()
  raises("base.lua:", function() error "x" end)
  raises("attempt to index a nil value (global 'nothing')", function() return nothing.x end)
  local ok, err = pcall(error, { code = 1 })
  eq(err, { code = 1 })
  eq(select("#", pcall(error)), 2)
  eq(xpcall(function() error "a" end, function(m) return "handled" end), false)
  eq(select(2, pcall(assert, false)), "assertion failed!")
end)

test("print takes anything", function()
  print("text", 1, nil, {}, json.null, "a\0b")
  print()
end)
