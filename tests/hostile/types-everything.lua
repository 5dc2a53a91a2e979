-- tries: every function of every library and every method of the host's objects with arguments of all types: huge,
--   negative, not whole, not numbers, empty, with NULs, looping, stale
-- must: results or errors; the server does not end
-- trigger: request
-- events: 12
-- clients: 2
-- expect: 200 or 500
-- limits: roomMemory = 33554432
local at, calls = 0, nil
local seed = 12345

local function random(n)
  seed = (seed * 1103515245 + 12345) & 0x7fffffff
  return (seed >> 8) % n + 1
end

local function collect(request)
  local list = {}
  local skipped = { sleep = true, print = true, log = true }
  local function add(name, f)
    if type(f) == "function" and not skipped[name] then list[#list + 1] = { name, f } end
  end
  local names = {}
  for name in pairs(_G) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local value = _G[name]
    add(name, value)
    if type(value) == "table" and value ~= _G and not skipped[name] then
      for key, f in pairs(value) do add(name .. "." .. key, f) end
    end
  end
  add("Response", function(...) return Response(...) end)
  local connection, timer = party.getConnection("client-1"), party.after(1e9, print)
  for _, key in ipairs { "send", "close", "setTags" } do add("connection." .. key, connection[key]) end
  for _, key in ipairs { "text", "json", "form", "queryAll" } do add("request." .. key, request[key]) end
  add("timer.cancel", timer.cancel)
  for _, key in ipairs { "debug", "info", "warn", "error" } do add("log." .. key, log[key]) end
  add("index", function(object, key) return object[key] end)
  add("assign", function(object, key, value) if object ~= _G and object ~= party then object[key] = value end end)
  return list
end

local makers = {
  function() return nil end, function() return true end, function() return 0 end, function() return -1 end,
  function() return math.maxinteger end, function() return math.mininteger end, function() return 1 << 31 end,
  function() return 1 / 0 end, function() return 0 / 0 end, function() return -0.5 end, function() return 1e308 end,
  function() return "" end, function() return "\0\xff" end, function() return ("x"):rep(10000) end, function() return "%99999s%" end,
  function() return "state" end, function() return { 1, 2, 3 } end, function() local t = {} t[t] = t t[1] = t return t end,
  function() return setmetatable({}, { __index = error, __len = function() return math.maxinteger end, __tostring = error, __name = 1 }) end,
  function() return print end, function() return function() error(nil) end end,
  function() return coroutine.create(function() coroutine.yield(1) end) end, function() return (coroutine.running()) end,
  function() return json.null end, function() return party.getConnection("client-2") end, function(request) return request end,
  function(request) return request.headers end, function() return Response("x") end, function() return party.after(1e9, print) end,
  function() return { binary = true, without = { "x" }, to = "x", status = 200, headers = { a = 1 } } end,
}

return require "attack" (function(_, request)
  calls = calls or collect(request)
  local from = now()
  while at < #calls do
    at = at + 1
    local f = calls[at][2]
    for n = 1, 160 do
      local args = {}
      for i = 1, n <= 30 and 1 or 1 + n % 4 do args[i] = makers[n <= 30 and n or random(#makers)](request) end
      local result = table.pack(pcall(f, table.unpack(args, 1, 5)))
      for i = 2, result.n do
        local ok, cancel = pcall(function() return result[i].cancel end)
        if ok and type(cancel) == "function" then pcall(cancel, result[i]) end
      end
    end
    if now() > from + 150 then return ("%d of %d"):format(at, #calls) end
  end
  return "all"
end)
