-- Waiting inside of everything that a script can put around it. Each test is a request of its own to a room
-- of its own; the room asked for "/" names them.

require "prelude"

local P, tests = {}, {}

local function wait(value)
  sleep(0)
  return value
end

function tests.in_a_handler()
  sleep(0)
  sleep(0.5)
  eq(select("#", sleep(1)), 0)
end

function tests.wrong_arguments()
  raises("number expected", sleep)
  raises("number expected", sleep, "x")
  raises("number expected", sleep, {})
  raises("a duration in ms", sleep, -1)
  raises("a duration in ms", sleep, 0 / 0)
  raises("a duration in ms", sleep, math.huge)
  raises("a duration in ms", sleep, math.maxinteger)
  raises("a duration in ms", sleep, math.mininteger)
end

function tests.in_pcall()
  eq({ pcall(function() return wait(1), wait(2) end) }, { true, 1, 2 })
  local ok, message = pcall(function()
    sleep(0)
    error("after", 0)
  end)
  eq({ ok, message }, { false, "after" })
  eq({ xpcall(function() sleep(0) error("x", 0) end, function(err) return err .. "!" end) }, { false, "x!" })
  eq({ pcall(pcall, pcall, pcall, wait, 7) }, { true, true, true, true, 7 })
  eq({ pcall(sleep, 0) }, { true })
end

function tests.in_wrap()
  local step = coroutine.wrap(function(a)
    local b = coroutine.yield(wait(a) + 1)
    sleep(0)
    local c = coroutine.yield(b + 1)
    sleep(0)
    return c + 1, "end"
  end)
  eq(step(1), 2)
  eq(step(10), 11)
  eq({ step(20) }, { 21, "end" })
  raises("cannot resume dead coroutine", step)
end

function tests.in_resume()
  local co = coroutine.create(function(...)
    sleep(0)
    local a, b = coroutine.yield(...)
    sleep(0)
    return a, nil, b
  end)
  eq({ coroutine.resume(co, 1, 2, 3) }, { true, 1, 2, 3 })
  eq(coroutine.status(co), "suspended")
  eq({ coroutine.resume(co, "a", "b") }, { true, "a", nil, "b" })
  eq(coroutine.status(co), "dead")
  eq({ coroutine.resume(co) }, { false, "cannot resume dead coroutine" })
end

function tests.errors_behind_a_wait()
  local function fail() sleep(0) error("late", 0) end
  eq({ coroutine.resume(coroutine.create(fail)) }, { false, "late" })
  local ok, message = pcall(coroutine.wrap(fail))
  eq(ok, false)
  assert(message:find("late", 1, true))
  local t = {}
  eq({ coroutine.resume(coroutine.create(function() sleep(0) error(t) end)) }, { false, t })
  ok, message = pcall(coroutine.wrap(function() sleep(0) error(t) end))
  assert(not ok and rawequal(message, t))
  eq({ coroutine.resume(coroutine.create(function() sleep(0) error() end)) }, { false })
end

function tests.nested()
  local deep = {}
  local function level(n)
    return coroutine.wrap(function()
      for i = 1, 3 do
        sleep(0)
        if n > 0 then
          local inner = level(n - 1)
          for _ = 1, 3 do
            local value = inner()
            deep[#deep + 1] = value
          end
        end
        coroutine.yield(i)
      end
      return 0
    end)
  end
  local outer = level(2)
  eq({ outer(), outer(), outer(), outer() }, { 1, 2, 3, 0 })
  eq(#deep, 9 + 27)
  local function mixed(n)
    if n == 0 then return wait("bottom") end
    local ok, value = coroutine.resume(coroutine.create(function()
      return select(2, pcall(coroutine.wrap(function() sleep(0) return mixed(n - 1) end)))
    end))
    return ok and value
  end
  eq(mixed(5), "bottom")
end

function tests.in_an_iterator()
  local sum = 0
  for i in coroutine.wrap(function()
    for i = 1, 4 do
      sleep(0)
      coroutine.yield(i)
      sleep(0)
    end
  end) do
    sum = sum + wait(i)
  end
  eq(sum, 10)
  local function count(limit, i)
    if i < limit then return wait(i + 1) end
  end
  sum = 0
  for i in count, 3, 0 do sum = sum + i end
  eq(sum, 6)
  local keys = {}
  for key in pairs(setmetatable({}, { __pairs = function() sleep(0) return next, { a = 1 } end })) do
    keys[#keys + 1] = wait(key)
  end
  eq(keys, { "a" })
end

function tests.in_metamethods()
  local meta = {}
  local t = setmetatable({}, meta)
  meta.__index = function(_, key) return wait(key) end
  eq(t.some, "some")
  eq(t[1] .. t[2], "12")
  local set
  meta.__newindex = function(_, key, value) set = key .. wait(value) end
  t.key = "value"
  eq(set, "keyvalue")
  meta.__call = function(_, ...) sleep(0) return ... end
  eq({ t(1, nil, 3) }, { 1, nil, 3 })
  for name, operation in pairs({
    __add = function() return t + 1 end,
    __sub = function() return 1 - t end,
    __mul = function() return t * t end,
    __div = function() return t / 1 end,
    __mod = function() return t % 1 end,
    __pow = function() return t ^ 1 end,
    __unm = function() return -t end,
    __idiv = function() return t // 1 end,
    __band = function() return t & 1 end,
    __bor = function() return t | 1 end,
    __bxor = function() return t ~ 1 end,
    __shl = function() return t << 1 end,
    __shr = function() return t >> 1 end,
    __bnot = function() return ~t end,
    __concat = function() return t .. "x" end,
    __len = function() return #t end,
  }) do
    meta[name] = function() return wait(name) end
    eq(operation(), name)
  end
  eq("a" .. "b" .. t .. "c", "ab__concat")
  local other = setmetatable({}, meta)
  meta.__eq = function() return wait(true) end
  meta.__lt = function() return wait(false) end
  meta.__le = function() return wait(true) end
  eq(t == other, true)
  eq(t ~= other, false)
  eq(t < other, false)
  eq(t <= other, true)
  eq(t > other, false)
  eq(not (t < other), true)
  local chosen
  if t < other then chosen = 1 else chosen = 2 end
  eq(chosen, 2)
end

function tests.in_close()
  local closed = {}
  local function guard(name)
    return setmetatable({}, { __close = function(_, err)
      sleep(0)
      closed[#closed + 1] = name .. tostring(err)
    end })
  end
  do
    local a <close> = guard("a")
    local b <close> = guard("b")
    sleep(0)
  end
  eq(closed, { "bnil", "anil" })
  closed = {}
  eq({ pcall(function()
    local a <close> = guard("a")
    sleep(0)
    error("x", 0)
  end) }, { false, "x" })
  eq(closed, { "ax" })
  closed = {}
  local function result()
    local a <close> = guard("r")
    return wait(1), wait(2)
  end
  eq({ result() }, { 1, 2 })
  eq(closed, { "rnil" })
end

function tests.loop_that_closes()
  local closed = false
  local guard = setmetatable({}, { __close = function() closed = wait(true) end })
  for i in function(_, i) if i < 3 then return wait(i + 1) end end, nil, 0, guard do
    if i == 2 then break end
  end
  eq(closed, true)
end

local refused = "waiting is not possible inside of a function that C calls back"

function tests.where_it_is_refused()
  raises(refused, table.sort, { 3, 2, 1 }, function(a, b) sleep(0) return a < b end)
  raises(refused, string.gsub, "abc", ".", function() sleep(0) end)
  raises(refused, tostring, setmetatable({}, { __tostring = function() sleep(0) return "x" end }))
  raises(refused, load, function() sleep(0) end)
  raises(refused, require, "waits_in_a_module")
  -- in a coroutine inside of one, too
  raises(refused, table.sort, { 2, 1 }, function(a, b)
    return coroutine.wrap(function() sleep(0) return a < b end)()
  end)
  raises(refused, string.gsub, "abc", ".", function()
    local ok, message = coroutine.resume(coroutine.create(function() pcall(sleep, 0) sleep(0) end))
    error(message, 0)
  end)
  local co = coroutine.create(function()
    local guard <close> = setmetatable({}, { __close = function() sleep(0) end })
    coroutine.yield()
  end)
  coroutine.resume(co)
  local ok, message = coroutine.close(co)
  eq(ok, false)
  assert(message:find(refused, 1, true))
  sleep(0) -- and still possible outside
end

function tests.nobody_else_resumes()
  local co, step, seen
  local function look()
    seen = {
      coroutine.status(co),
      { coroutine.resume(co, 1) },
      { pcall(coroutine.close, co) },
      { pcall(step) },
      coroutine.isyieldable(co),
    }
  end
  co = coroutine.create(function()
    step = coroutine.wrap(function()
      while not seen do sleep(0) end -- here the handler waits, and both with it
      return "stepped"
    end)
    return step()
  end)
  party.after(0, look)
  eq({ coroutine.resume(co) }, { true, "stepped" })
  eq(seen[1], "suspended")
  eq(seen[2], { false, "cannot resume a coroutine that waits" })
  eq(seen[3][1], false)
  assert(seen[3][2]:find("cannot close a coroutine that waits", 1, true))
  eq(seen[4][1], false)
  assert(seen[4][2]:find("cannot resume a coroutine that waits", 1, true))
  eq(seen[5], false)
end

function tests.the_handlers_own_coroutine()
  local co, main = coroutine.running()
  eq(type(co), "thread")
  eq(main, true)
  eq(coroutine.isyieldable(), false)
  eq(coroutine.status(co), "running")
  raises("attempt to yield from outside a coroutine", coroutine.yield, 1)
  eq({ coroutine.resume(co) }, { false, "cannot resume a coroutine that waits" })
  raises("cannot close", coroutine.close, co)
  local inner = coroutine.create(function()
    eq(coroutine.status(co), "normal")
    eq({ coroutine.resume(co) }, { false, "cannot resume a coroutine that waits" })
    raises("cannot close", coroutine.close, co)
    local own, ismain = coroutine.running()
    eq(ismain, false)
    eq(coroutine.isyieldable(), true)
    eq({ coroutine.resume(own) }, { false, "cannot resume non-suspended coroutine" })
    raises("cannot close a running coroutine", coroutine.close, own)
    sleep(0)
    eq(coroutine.isyieldable(), true)
    eq(select(2, coroutine.running()), false)
    return "ok"
  end)
  eq({ coroutine.resume(inner) }, { true, "ok" })
  sleep(0)
  local again, stillmain = coroutine.running()
  assert(rawequal(again, co) and stillmain)
end

function tests.as_in_stock_lua()
  local co = coroutine.create(function() coroutine.yield() end)
  eq(coroutine.status(co), "suspended")
  eq(coroutine.isyieldable(co), true)
  coroutine.resume(co)
  eq({ coroutine.close(co) }, { true })
  eq(coroutine.status(co), "dead")
  eq({ coroutine.close(co) }, { true })
  co = coroutine.create(function() error("x", 0) end)
  eq({ coroutine.resume(co) }, { false, "x" })
  eq({ coroutine.close(co) }, { false, "x" })
  eq({ coroutine.close(co) }, { true })
  co = coroutine.create(function()
    local guard <close> = setmetatable({}, { __close = function() error("closing", 0) end })
    coroutine.yield()
  end)
  coroutine.resume(co)
  eq({ coroutine.close(co) }, { false, "closing" })
  for _, name in ipairs({ "create", "wrap" }) do raises("function expected", coroutine[name], 1) end
  for _, name in ipairs({ "resume", "status", "close", "isyieldable" }) do
    raises("coroutine expected", coroutine[name], 1)
  end
  raises("coroutine expected", coroutine.resume)
  local values = table.pack(coroutine.resume(coroutine.create(function(...) return ... end), 1, nil, nil))
  eq(values.n, 4)
  eq(coroutine.wrap(function() return pcall(error) end)(), false)
  -- too many values for a stack
  local ok, message = pcall(function()
    return coroutine.wrap(function() return table.unpack({}, 1, 199000) end)()
  end)
  eq(type(message), ok and "nil" or "string")
  local outer = coroutine.wrap(function()
    local inner = coroutine.wrap(function() coroutine.yield(coroutine.status(co)) end)
    return inner()
  end)
  eq(outer(), "dead")
end

function tests.a_coroutine_without_end()
  local function again() return coroutine.wrap(again)() end
  raises("C stack overflow", again)
  local function more() sleep(0) return coroutine.wrap(more)() end
  raises("C stack overflow", more)
  sleep(0)
end

function tests.many_at_once()
  local done, n = 0, 50
  for i = 1, n do
    party.after(i % 3, function()
      for step in coroutine.wrap(function() for j = 1, 3 do coroutine.yield(wait(j)) end end) do
        sleep(step % 2)
      end
      done = done + 1
    end)
  end
  while done < n do sleep(1) end
end

function tests.a_stashed_coroutine()
  local co = coroutine.wrap(function()
    while true do
      sleep(0)
      coroutine.yield(coroutine.running())
    end
  end)
  local first = co()
  local second
  party.after(0, function() second = co() end) -- another handler goes on with it
  while not second do sleep(0) end
  assert(rawequal(first, second))
  assert(rawequal(co(), first))
end

function tests.sort_after_a_wait()
  local t = { 3, 1, 2 }
  table.sort(t, function(a, b) return a < b end)
  sleep(0)
  table.sort(t, function(a, b) return a > b end)
  eq(t, { 3, 2, 1 })
  eq((("abc"):gsub(".", function(c) return c .. c end)), "aabbcc")
end

function tests.varargs_and_locals_survive()
  local function f(...)
    local a, b, c = ...
    sleep(0)
    local packed = table.pack(...)
    local s = 0
    for i = 1, packed.n do
      s = s + packed[i]
      sleep(0)
    end
    return s, a + b + c, select("#", ...)
  end
  eq({ f(1, 2, 3, 4) }, { 10, 6, 4 })
  eq({ (f(1, 2, 3)) }, { 6 })
  eq({ wait(1), (wait(2)), wait(3) }, { 1, 2, 3 })
  local t = { wait("x"), y = wait("y"), [wait("z")] = wait("zz") }
  eq(t, { "x", y = "y", z = "zz" })
  local tail = function(n) if n == 0 then return wait("end") end return (wait(n) and f)(n, n, n) end
  eq(tail(0), "end")
  eq(tail(2), 6)
  goto over
  error("not here")
  ::over::
  repeat local done = wait(true) until done
  eq(wait(nil) or wait(false) or wait("or"), "or")
  eq(wait(1) and wait(2), 2)
end

function P:onStart()
  self.names = {}
  for name in pairs(tests) do self.names[#self.names + 1] = name end
  table.sort(self.names)
end

function P:onRequest(request)
  if request.subpath == "/" then return table.concat(self.names, "\n") end
  tests[request.subpath:sub(2)](self, request)
  return "ok"
end

return P
