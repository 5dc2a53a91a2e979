-- What a script stores and finds again. Each test is a request of its own to a room of its own; the room asked for
-- "/" names them.

require "prelude"

local P, tests = {}, {}
local storage = party.storage

-- The iterator's keys and values, as one text.
local function listed(options)
  local out = {}
  for key, value in storage.list(options) do out[#out + 1] = key .. "=" .. tostring(value) end
  return table.concat(out, " ")
end

-- Does it twice: before anything is durable, and when the store alone knows.
local function twice(check)
  check()
  storage.sync()
  check()
end

function tests.put_get_delete()
  eq(storage.get("k"), nil)
  eq(storage.put("k", 1), nil)
  eq(storage.get("k"), 1)
  storage.put("k", "two")
  eq(storage.get("k"), "two")
  eq(storage.delete("k"), true)
  eq(storage.delete("k"), false)
  eq(storage.delete("never"), false)
  eq(storage.get("k"), nil)
  eq(select("#", storage.get("k")), 1)
  eq(select("#", storage.put("k", 1)), 0)
end

function tests.with_dot_and_colon()
  party.storage:put("k", 1)
  eq({ party.storage.get("k"), party.storage:get("k"), party["storage"]["get"]("k") }, { 1, 1, 1 })
  party.storage:put({ a = 1, b = 2 })
  eq(party.storage:get({ "a", "b" }), { a = 1, b = 2 })
  for key in party.storage:list({ limit = 1 }) do eq(key, "a") end
  eq(party.storage:delete("a"), true)
  eq(party.storage.delete({ "b", "k" }), 2)
  eq(party.storage:transaction(function() return 5 end), 5)
  party.storage:setAlarm(5e12)
  eq(party.storage:getAlarm(), 5000000000000)
  party.storage:deleteAlarm()
  party.storage:sync()
  party.storage:deleteAll()
  local get = party.storage.get
  eq(get("a"), nil)
  eq(storage.unknown, nil)
  eq(storage[1], nil)
  raises("", function() storage.get = print end)
  eq(type(storage), "userdata")
  eq(getmetatable(storage), false)
end

function tests.values_of_all_types()
  local values = {
    yes = true, no = false, integer = 7, most = math.maxinteger, least = math.mininteger, float = 1.5, whole = 2.0,
    huge = math.huge, empty = "", bytes = "\0\xff\n", text = "grüße", none = {}, list = { 1, "a", { true } },
    map = { [1] = "x", [-1] = "y", [1.5] = "z", [true] = { a = { b = "c" } } }, null = json.null,
  }
  for name, value in pairs(values) do storage.put(name, value) end
  storage.put("nan", 0 / 0)
  twice(function()
    for name, value in pairs(values) do
      eq({ name, storage.get(name) }, { name, value })
      eq(math.type(storage.get(name)), math.type(value))
    end
    local nan = storage.get("nan")
    assert(nan ~= nan)
    assert(rawequal(storage.get("null"), json.null))
  end)
end

function tests.a_value_is_a_copy()
  local value = { list = { 1 } }
  storage.put("k", value)
  value.list[1] = 2
  twice(function()
    local got = storage.get("k")
    eq(got, { list = { 1 } })
    got.list[1] = 3
    assert(got ~= storage.get("k"))
  end)
  eq(storage.get("k"), { list = { 1 } })
  for _, got in storage.list() do got.list = nil end
  eq(storage.get("k"), { list = { 1 } })
end

function tests.many_at_once()
  storage.put({ a = 1, b = { 2 }, ["c\0"] = "3" })
  storage.put({})
  twice(function()
    eq(storage.get({ "a", "b", "c\0", "d", "a" }), { a = 1, b = { 2 }, ["c\0"] = "3" })
    eq(storage.get({}), {})
  end)
  eq(storage.delete({ "a", "d", "a", "b" }), 2)
  eq(storage.delete({}), 0)
  eq(listed(), "c\0=3")
  local many, keys = {}, {}
  for i = 1, 200 do
    many["n" .. i] = i
    keys[i] = "n" .. i
  end
  storage.put(many)
  twice(function()
    local got = storage.get(keys)
    for i = 1, 200 do eq(got["n" .. i], i) end
  end)
  eq(storage.delete(keys), 200)
end

function tests.list_options()
  storage.put({ a = 1, ab = 2, abc = 3, b = 4, c = 5, ["\xff"] = 6, ["\xff\xff"] = 7, ["a\0"] = 8 })
  twice(function()
    eq(listed(), "a=1 a\0=8 ab=2 abc=3 b=4 c=5 \xff=6 \xff\xff=7")
    eq(listed({}), listed())
    eq(listed({ reverse = true }), "\xff\xff=7 \xff=6 c=5 b=4 abc=3 ab=2 a\0=8 a=1")
    eq(listed({ reverse = false, limit = 2 }), "a=1 a\0=8")
    eq(listed({ reverse = true, limit = 2 }), "\xff\xff=7 \xff=6")
    eq(listed({ limit = math.maxinteger }), listed())
    eq(listed({ limit = 1.0 }), "a=1")
    eq(listed({ prefix = "a" }), "a=1 a\0=8 ab=2 abc=3")
    eq(listed({ prefix = "ab", reverse = true }), "abc=3 ab=2")
    eq(listed({ prefix = "\xff" }), "\xff=6 \xff\xff=7")
    eq(listed({ prefix = "" }), listed())
    eq(listed({ prefix = "zz" }), "")
    eq(listed({ start = "ab" }), "ab=2 abc=3 b=4 c=5 \xff=6 \xff\xff=7")
    eq(listed({ startAfter = "ab", finish = "c" }), "abc=3 b=4")
    eq(listed({ startAfter = "a", finish = "ab" }), "a\0=8")
    eq(listed({ start = "b", finish = "b" }), "")
    eq(listed({ start = "c", finish = "b" }), "")
    eq(listed({ start = "", finish = "a" }), "")
    eq(listed({ prefix = "a", start = "ab" }), "ab=2 abc=3")
    eq(listed({ prefix = "a", startAfter = "ab" }), "abc=3")
    eq(listed({ prefix = "ab", start = "a", finish = "c" }), "ab=2 abc=3")
    eq(listed({ prefix = "a", finish = "ab" }), "a=1 a\0=8")
    eq(listed({ prefix = "b", start = "c" }), "")
    eq(listed({ startAfter = "\xff\xff" }), "")
    eq(listed({ start = ("x"):rep(5000) }), "\xff=6 \xff\xff=7")
  end)
end

function tests.list_while_writing()
  for i = 1, 50 do storage.put(string.format("%03d", i), i) end
  storage.sync()
  local n = 0
  for key, value in storage.list() do
    n = n + 1
    eq(value, n)
    storage.delete(key)
    storage.put("1" .. key, value) -- behind all of these: it may come or not
    if n == 50 then break end
  end
  eq(storage.get("001"), nil)
  eq(listed({ finish = "1" }), "")
  storage.sync()
  n = 0
  for _ in storage.list() do n = n + 1 end
  eq(n, 50)
end

-- Larger than what the store gives at once.
function tests.list_in_pages()
  local part = ("x"):rep(10000)
  for i = 1, 100 do storage.put(string.format("%03d", i), part .. i) end
  storage.sync()
  storage.delete("050")
  storage.put("0505", part .. "new")
  for _, options in ipairs({ {}, { reverse = true }, { limit = 90 }, { reverse = true, limit = 90 } }) do
    local seen, before = 0, nil
    for key, value in storage.list(options) do
      seen = seen + 1
      eq(#value > 10000, true)
      assert(not before or (key < before) == (options.reverse or false), key)
      assert(key ~= "050")
      before = key
    end
    eq(seen, options.limit or 100)
  end
end

function tests.list_iterators()
  storage.put({ a = 1, b = 2, c = 3 })
  local one, two = storage.list(), storage.list({ reverse = true })
  eq({ one() }, { "a", 1 })
  eq({ two() }, { "c", 3 })
  sleep(0) -- in another turn they go on
  eq({ one() }, { "b", 2 })
  eq({ two() }, { "b", 2 })
  eq({ one() }, { "c", 3 })
  eq(one(), nil)
  eq(one(), nil)
  eq({ two("any", "arguments") }, { "a", 1 })
  eq(select("#", two()), 1)
end

function tests.delete_all()
  storage.put({ a = 1, b = 2 })
  storage.setAlarm(5e12)
  storage.sync()
  storage.put("c", 3)
  storage.deleteAll()
  storage.put("d", 4)
  twice(function()
    eq(listed(), "d=4")
    eq(storage.get("a"), nil)
    eq(storage.getAlarm(), 5000000000000) -- the alarm stays
  end)
  storage.deleteAlarm()
end

function tests.alarms()
  eq(storage.getAlarm(), nil)
  eq(select("#", storage.getAlarm()), 1)
  storage.setAlarm(5000000000000.7)
  twice(function()
    eq(storage.getAlarm(), 5000000000000)
    eq(math.type(storage.getAlarm()), "integer")
  end)
  storage.setAlarm(6e12)
  eq(storage.getAlarm(), 6000000000000)
  for _, time in ipairs({ 0, -1, 0.5, math.mininteger, -math.huge, math.huge, 2 ^ 53, 0 / 0 }) do
    raises("a time in ms since 1970 expected", storage.setAlarm, time)
  end
  raises("number expected", storage.setAlarm)
  raises("number expected", storage.setAlarm, "soon")
  raises("number expected", storage.setAlarm, {})
  raises("#1 to 'setAlarm' (number expected, got string)", function() party.storage:setAlarm("soon") end)
  raises("#1 to 'transaction' (function expected, got no value)", function() party.storage:transaction() end)
  raises("#1 to 'list' (table expected, got string)", function() party.storage:list("a") end)
  raises("looks like seconds", storage.setAlarm, 1767225600)
  raises("number expected", storage.setAlarm, storage)
  eq(storage.getAlarm(), 6000000000000)
  storage.deleteAlarm()
  twice(function() eq(storage.getAlarm(), nil) end)
  storage.deleteAlarm()
end

function tests.keys_are_checked()
  local long = ("k"):rep(2048)
  storage.put(long, 1)
  eq(storage.get(long), 1)
  eq(storage.delete(long), true)
  for _, call in ipairs({
    function(key) storage.get(key) end, function(key) storage.put(key, 1) end, function(key) storage.delete(key) end,
  }) do
    raises("a key is empty", call, "")
    raises("a key has 2049 bytes; 2048 are allowed (storageKey)", call, long .. "k")
    raises("a key is a string, not number", call, 1)
    raises("a key is a string, not nil", call)
    raises("a key is a string, not boolean", call, true)
    raises("a key is a string, not function", call, print)
    raises("a key is a string, not userdata", call, json.null)
  end
  raises("a key is a string, not table", storage.put, {}, 1)
  raises("a key is a string, not table", storage.put, {}, nil)
  for _, call in ipairs({ storage.get, storage.delete }) do
    raises("a key is empty", call, { "a", "" })
    raises("a key has 2049 bytes", call, { "a", long .. "k" })
    raises("a key is a string, not number", call, { "a", 1 })
    raises("a key is a string, not table", call, { { "a" } })
  end
  raises("a key is a string, not number", storage.put, { a = 1, 2 })
  raises("a key is empty", storage.put, { a = 1, [""] = 2 })
  raises("a key has 2049 bytes", storage.put, { a = 1, [long .. "k"] = 2 })
  eq(listed(), "") -- of all of these, nothing was stored
end

-- A table's length is what its metatable says.
function tests.lengths_may_lie()
  storage.put({ a = 1, b = 2 })
  for _, n in ipairs({ 0, 1, 100, 1 << 59, 1 << 60, math.maxinteger, -1, "x" }) do
    local keys = setmetatable({ "a", "c" .. tostring(n) }, { __len = function() return n end, __index = error })
    eq(storage.get(keys), { a = 1 })
    eq(storage.delete(setmetatable({ "d" .. tostring(n) }, getmetatable(keys))), 0)
  end
  local sparse = {}
  for i = 0, 62 do sparse[1 << i] = "k" end
  eq(storage.get(sparse), {})
  for _, wrong in ipairs({ { a = 1 }, { a = "a" }, { [0] = "a" }, { [2] = "a" } }) do
    raises("keys are an array of strings", storage.get, wrong)
    raises("keys are an array of strings", storage.delete, wrong)
  end
  eq(storage.get({}), {})
  eq(storage.delete({}), 0)
end

function tests.values_are_checked()
  raises("nil can't be stored; use delete", storage.put, "k", nil)
  raises("nil can't be stored; use delete", storage.put, "k")
  raises("can't be stored: value is a function", storage.put, "k", print)
  raises("can't be stored: value.a is a function", storage.put, "k", { a = print })
  raises("can't be stored: value is a thread", storage.put, "k", coroutine.create(print))
  raises("can't be stored", storage.put, "k", storage)
  raises("has a metatable", storage.put, "k", setmetatable({}, {}))
  local cycle = {}
  cycle[1] = cycle
  raises("a cycle", storage.put, "k", cycle)
  raises("takes more than 2097152 bytes (storageValue)", storage.put, "k", ("x"):rep(2097153))
  raises("can't be stored: values.k is a function", storage.put, { a = 1, k = print })
  raises('can\'t be stored: values["k 1"].f[2] is a function', storage.put, { a = 1, ["k 1"] = { f = { 1, print } } })
  raises("can't be stored: values[...] is a function", storage.put, { ["k\n"] = print })
  raises("takes more than", storage.put, { a = 1, k = ("x"):rep(2097153) })
  eq(listed(), "")
  local large = ("x"):rep(2097152 - 16)
  storage.put("k", large)
  twice(function() eq(storage.get("k") == large, true) end)
end

function tests.options_are_checked()
  raises("table expected", storage.list, 1)
  raises("table expected", storage.list, "a")
  raises("unknown option prefx: prefix, start, startAfter, finish, reverse and limit are known",
    storage.list, { prefx = "a" })
  raises("unknown option", storage.list, { "a" })
  raises("unknown option", storage.list, { [true] = 1 })
  for _, name in ipairs({ "prefix", "start", "startAfter", "finish" }) do
    raises(name .. " is a string, not number", storage.list, { [name] = 1 })
    raises(name .. " is a string, not table", storage.list, { [name] = {} })
  end
  for _, limit in ipairs({ 0, -1, 1.5, math.mininteger, math.huge, "x", true, {} }) do
    raises("limit is an integer, 1 or more", storage.list, { limit = limit })
  end
  raises("start and startAfter can't be used together", storage.list, { start = "a", startAfter = "a" })
end

function tests.transactions()
  storage.put({ a = 1, b = 1 })
  eq({ storage.transaction(function(txn)
    txn.put("a", 2)
    txn:put("b", 2)
    eq({ txn.get("a"), txn:get("b"), storage.get("a") }, { 2, 2, 2 })
    return "x", nil, 3
  end) }, { "x", nil, 3 })
  eq(listed(), "a=2 b=2")
  eq(select("#", storage.transaction(function() return nil, nil end)), 2)
  raises("my error", storage.transaction, function(txn)
    txn.put("a", 3)
    txn.delete("b")
    txn.setAlarm(5e12)
    error("my error")
  end)
  local err = {}
  eq({ pcall(storage.transaction, function() storage.deleteAll() error(err) end) }, { false, err })
  eq(select(2, pcall(storage.transaction, function() error() end)), nil)
  eq(listed(), "a=2 b=2")
  eq(storage.getAlarm(), nil)
  for _, bad in ipairs({ 1, "f", {}, true }) do raises("function expected", storage.transaction, bad) end
  raises("function expected", storage.transaction)
end

-- What a list has read in a transaction that was taken back counts no more.
function tests.lists_and_transactions()
  for _, reverse in ipairs({ false, true }) do
    for _, keep in ipairs({ false, true }) do
      for before = 0, 2 do
        storage.put({ a = 1, b = 2, c = 3, d = 4 })
        local step, found = storage.list({ reverse = reverse, finish = "d" }), {}
        local function go_on(n)
          for _ = 1, n do
            local key = step()
            if not key then return end
            found[#found + 1] = key
          end
        end
        storage.transaction(function(txn)
          txn.delete({ "b", "c" })
          txn.put("aa", 5)
          go_on(before)
          if not keep then txn:rollback() end
        end)
        go_on(9)
        local expected = keep and (reverse and "aa a" or "a aa")
          or before == 2 and (reverse and "aa a" or "a aa b c")
          or before == 1 and (reverse and "aa a" or "a b c")
          or (reverse and "c b a" or "a b c")
        eq(table.concat(found, " "), expected)
        storage.deleteAll()
      end
    end
  end
end

function tests.rollback()
  storage.put("a", 1)
  local kept
  eq(storage.transaction(function(txn)
    kept = txn
    txn.put("a", 2)
    txn.deleteAll()
    txn:rollback()
    raises("the transaction is over", function() txn:rollback() end)
    raises("the transaction is over", function() txn.put("a", 3) end)
    raises("the transaction is over", function() return txn.get end)
    storage.put("b", 2) -- no part of it any more
    sleep(0) -- and waiting is possible
    return "result"
  end), "result")
  eq(listed(), "a=1 b=2")
  raises("the transaction is over", function() return kept.get end)
  raises("my error", storage.transaction, function(txn)
    txn.put("a", 5)
    txn:rollback()
    storage.put("c", 3)
    error("my error")
  end)
  eq(listed(), "a=1 b=2 c=3")
  storage.transaction(function(txn) kept = txn end)
  raises("the transaction is over", function() kept:rollback() end)
  raises("", function() kept.x = 1 end)
  raises("transaction expected", function()
    storage.transaction(function(txn) txn.rollback(storage) end)
  end)
  eq(storage.rollback, nil)
end

function tests.inside_of_a_transaction()
  storage.put("a", 1)
  storage.sync()
  storage.transaction(function(txn)
    txn.put("b", 2)
    raises("a transaction runs already", storage.transaction, print)
    raises("a transaction runs already", txn.transaction, print)
    raises("waiting is not possible inside of a transaction", sleep, 0)
    raises("sync is not possible inside of a transaction", storage.sync)
    eq(txn.get("unknown"), nil) -- a wait for the store alone
    local out = {}
    for key, value in txn:list() do out[#out + 1] = key .. value end
    eq(out, { "a1", "b2" })
    eq(txn.getAlarm(), nil)
    txn.put("c", 3)
    eq(txn.delete({ "a", "x" }), 1)
  end)
  eq(listed(), "b=2 c=3")
  raises("waiting is not possible inside of a transaction", storage.transaction, function(txn)
    txn.put("d", 1)
    sleep(0)
  end)
  eq(listed(), "b=2 c=3")
  sleep(0)
end

function tests.in_coroutines()
  storage.put("a", { 1 })
  storage.sync()
  local co = coroutine.wrap(function()
    coroutine.yield(storage.get("x"))
    coroutine.yield(storage.get({ "a", "y" }))
    for key in storage.list() do coroutine.yield(key) end
    storage.put("z", 1)
    storage.sync()
    return "done"
  end)
  eq(co(), nil)
  eq(co(), { a = { 1 } })
  eq({ co(), co() }, { "a", "done" })
  eq({ pcall(storage.get, "n1") }, { true, nil })
  eq({ pcall(pcall, storage.get, "n2") }, { true, true, nil })
  eq(select(2, xpcall(function() return storage.delete("n3") end, print)), false)
  eq(setmetatable({}, { __index = function(_, key) return storage.get(key) end }).n4, nil)
  local inside = coroutine.wrap(function()
    return storage.transaction(function(txn)
      eq(txn.get("n5"), nil)
      for i in coroutine.wrap(function() for i = 4, 5 do coroutine.yield(i) end end) do txn.put("n5", i) end
      return "end"
    end)
  end)
  eq(inside(), "end")
  eq(storage.get("n5"), 5)
end

-- Nobody might come back to it, and all that is written meanwhile would go with it.
function tests.no_coroutine_leaves_its_transaction()
  local left = coroutine.wrap(function()
    storage.transaction(function(txn)
      txn.put("a", 1)
      coroutine.yield()
    end)
  end)
  raises("a coroutine can't yield out of its transaction", left)
  local numbers = coroutine.wrap(function()
    storage.transaction(function(txn)
      for i = 1, 3 do
        txn.put("b", i)
        pcall(coroutine.yield, i)
      end
    end)
  end)
  eq(numbers(), nil)
  storage.put("c", 1)
  sleep(0)
  eq(listed(), "b=3 c=1")
end

function tests.where_waiting_is_impossible()
  storage.put("known", 1)
  local where = "waiting is not possible inside of a function that C calls back"
  for _, call in ipairs({
    function() storage.get("x") end, function() storage.get({ "known", "x" }) end,
    function() storage.delete("x") end, function() storage.delete({ "x" }) end, function() storage.list()() end,
    function() storage.getAlarm() end, function() storage.sync() end,
  }) do
    raises(where, table.sort, { 1, 2 }, call)
    raises(where, string.gsub, "a", "a", call)
  end
  table.sort({ 1, 2 }, function()
    eq(storage.get("known"), 1) -- what is known needs no wait
    storage.put("known", 2)
    storage.transaction(function(txn) txn.put("other", 1) end)
    return false
  end)
  eq(listed(), "known=2 other=1")
end

function tests.after_an_error_the_writes_stay()
  pcall(function()
    storage.put("k", 1)
    error("x")
  end)
  eq(storage.get("k"), 1)
end

-- One event may write so much; with what is too much nothing is stored of that.
function tests.one_event_writes_so_much()
  local part, n = ("x"):rep(1 << 20), 0
  raises("too much to store: one event can store a quarter of roomMemory", function()
    while true do
      storage.put("k", part)
      n = n + 1
    end
  end)
  assert(n > 5 and n < 10, n)
  local most = part:sub(1, 700000) -- one of them would do
  raises("too much to store", storage.put, { a = most, b = most })
  eq(listed({ limit = 1 }), "k=" .. part)
  eq(storage.get({ "a", "b" }), {})
  storage.put("small", 1)
  sleep(0) -- another turn
  storage.put("k", "x")
  eq(listed(), "k=x small=1")
end

function P:onRequest(request)
  if request.subpath == "/" then
    local names = {}
    for name in pairs(tests) do names[#names + 1] = name end
    table.sort(names)
    return table.concat(names, "\n")
  end
  tests[request.subpath:sub(2)](self, request)
  return "ok"
end

return P
