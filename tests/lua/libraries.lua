local function names(t)
  local list = {}
  for name in pairs(t) do list[#list + 1] = name end
  table.sort(list)
  return table.concat(list, " ")
end

test("libraries have what is allowed, and nothing else", function()
  eq(names(string), "byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper")
  eq(names(table), "concat insert move pack remove sort unpack")
  eq(names(math), "abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min mininteger modf pi " ..
                  "rad random randomseed sin sqrt tan tointeger type ult")
  eq(names(utf8), "char charpattern codepoint codes len offset")
  eq(names(os), "clock date difftime time")
  eq(names(coroutine), "close create isyieldable resume running status wrap yield")
  eq(names(debug), "traceback")
  eq(names(json), "array decode encode null object")
  eq(names(crypto), "base64 base64url ed25519 hex hmac jwt randomBytes randomUUID sha1 sha256 sha384 sha512 " ..
                   "timingSafeEqual")
  eq(names(log), "debug error info warn")
  eq(names(html), "escape")
  for name, value in pairs(string) do eq(type(value), "function", name) end
end)

test("%q writes control characters with as few digits as will do", function()
  eq(string.format("%q", "\0\0010\009x\0099\127\1275\"\\\n\r"), [["\0\0010\9x\0099\127\1275\"\\\]] .. "\n" .. [[\13"]])
  for c = 0, 255 do
    for _, next in ipairs { "", "0", "x" } do
      local text = string.char(c) .. next
      eq(load("return " .. string.format("%q", text))(), text)
    end
  end
end)

test("strings are compared byte by byte, NULs as well", function()
  local sorted = { "", "\0", "\0\0", "\0\0a", "\0a", "a", "a\0", "a\0\0", "a\0b", "ab", "b", "\127", "\128", "é", "\255" }
  for i, a in ipairs(sorted) do
    for j, b in ipairs(sorted) do eq({ a < b, a <= b, a > b }, { i < j, i <= j, i > j }, i .. " " .. j) end
  end
end)

test("the globals", function()
  eq(names(_G), "Response _G _VERSION assert collectgarbage coroutine crypto debug eq error fetch getmetatable html " ..
                "ipairs json load log math next now os pairs party pcall print raises rawequal rawget rawlen rawset " ..
                "require select setmetatable sleep string table test tonumber tostring type utf8 xpcall")
  eq(rawequal(_G._G, _G), true)
  eq(_VERSION, "Lua 5.4")
  eq(io, nil)
  eq(package, nil)
  eq(dofile, nil)
  eq(loadfile, nil)
  eq(string.dump, nil)
  eq(os.exit, nil)
  eq(os.getenv, nil)
  eq(debug.sethook, nil)
end)

test("a table that was never asked looks full", function()
  eq(type(rawget(table, "concat")), "function")
  eq(type(next(utf8)), "string")
  eq(rawget(table, "nothing"), nil)
  local count = 0
  for _ in next, math do count = count + 1 end
  eq(count, 27)
end)

test("a library's function is always the same", function()
  eq(rawequal(string.upper, rawget(string, "upper")), true)
  local upper = string.upper
  for name, value in pairs(string) do
    if name == "upper" then eq(rawequal(value, upper), true) end
  end
end)

test("the method call on strings", function()
  eq(("x"):upper(), "X")
  eq(("%d"):format(7), "7")
  eq(#("ab"):rep(3), 6)
  eq(("x").nothing, nil)
  string.shout = function(s) return s:upper() .. "!" end
  eq(("hey"):shout(), "HEY!")
  string.shout = nil
end)

test("arithmetic on strings", function()
  eq("10" + 1, 11)
  eq("3" * "4", 12)
  eq("7" // 2, 3)
  eq(-"2", -2)
  eq("2" ^ 2, 4.0)
  eq("10" / 4, 2.5)
  eq("7" % 4, 3)
  eq("7" - 4, 3)
  raises("attempt to add a 'string' with a 'number'", function() return "x" + 1 end)
end)

test("metatables are out of reach", function()
  eq(getmetatable(""), false)
  eq(getmetatable(string), false)
  eq(getmetatable(party), false)
  raises("protected metatable", setmetatable, string, {})
  raises("attempt to call the library 'string'", function() string() end)
end)

test("a script's own functions have their place", function()
  table.last = function(t) return t[#t] end
  eq(table.last { 1, 2, 3 }, 3)
  table.last = nil
  local format = string.format
  string.format = function() return "mine" end
  eq(("%d"):format(1), "mine")
  string.format = format
  eq(string[1], nil)
  eq(string[true], nil)
end)

test("environments copied from _G", function()
  local env = {}
  for name, value in pairs(_G) do env[name] = value end
  env.out = {}
  local run = load([[
    out.upper = ("x"):upper()
    out.joined = table.concat({ 1, 2 }, "-")
    out.max = math.max(1, 2)
    mine = 1
    return _G ~= nil
  ]], "=chunk", "t", env)
  eq(run(), true)
  eq(env.out, { upper = "X", joined = "1-2", max = 2 })
  eq(mine, nil)
  eq(env.mine, 1)
end)

test("random numbers", function()
  local n = math.random(1000000)
  eq(math.type(n), "integer")
  eq(n >= 1 and n <= 1000000, true)
  math.randomseed(42)
  local first = math.random(0)
  math.randomseed(42)
  eq(math.random(0), first)
  local a, b = math.randomseed()
  eq(math.type(a), "integer")
  local drawn = math.random(0)
  math.randomseed(a, b)
  eq(math.random(0), drawn)
  raises("interval is empty", math.random, 2, 1)
end)

test("time", function()
  eq(os.date("!%Y-%m-%d", 0), "1970-01-01")
  eq(os.time { year = 2020, month = 1, day = 1, hour = 12 } > 1.5e9, true)
  eq(math.type(now()), "integer")
  eq(now() > 1.6e12, true)
  eq(math.abs(now() // 1000 - os.time()) < 100, true)
  eq(type(os.clock()), "number")
  raises("invalid conversion specifier", os.date, "%Ez")
end)

test("crypto and html", function()
  local id = crypto.randomUUID()
  eq(#id, 36)
  eq(id:match "^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$", id)
  eq(id ~= crypto.randomUUID(), true)
  eq(html.escape [[<a href="x">Tom & 'Jerry'</a>]],
     "&lt;a href=&quot;x&quot;&gt;Tom &amp; &#39;Jerry&#39;&lt;/a&gt;")
  eq(html.escape "", "")
  eq(html.escape "plain", "plain")
  eq(html.escape("&"), "&amp;")
  eq(html.escape("a\0<"), "a\0&lt;")
  raises("string expected", html.escape)
end)

test("the log takes what it is given", function()
  log.debug("not shown", { n = 1 })
  log.debug(nil)
  raises("value expected", log.info)
  raises("table expected", log.info, "x", "y")
end)
