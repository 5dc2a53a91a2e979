-- tries: going on with what a handler left behind that was ended in the midst of its work: a coroutine in the middle
--   of a C function, a half sorted table, an iterator, a string that was being built
-- must: all of it is whole enough to be used or refused; no crash
-- trigger: request
-- events: 12
-- expect: 500 or 200
local left = { list = {} }

return require "attack" (function(_, request)
  local n = tonumber(request.query.n)
  if n % 2 == 0 then
    for i = 1, 3 do pcall(coroutine.resume, left.co) end
    pcall(coroutine.close, left.co)
    for i, v in ipairs(left.list) do assert(type(v) == "number" or type(v) == "string", i) end
    pcall(table.sort, left.list, function(a, b) return tostring(a) < tostring(b) end)
    if left.iterator then pcall(left.iterator) end
    return "used"
  end
  left.list = {}
  for i = 1, 100 do left.list[i] = i end
  left.iterator = ("a"):rep(1000):gmatch("a-b")
  left.co = coroutine.create(function()
    local _ <close> = setmetatable({}, { __close = function() left.closed = true end })
    if n == 1 then table.sort(left.list, function() while true do end end) end
    if n == 3 then ("x"):rep(100):gsub(".", function() while true do end end) end
    if n == 5 then table.move({}, 1, math.maxinteger - 1, 2, left.list) end
    if n == 7 then json.encode(setmetatable({}, { __jsontype = "array" })) ("x"):rep(1 << 50, "") end
    if n == 9 then load(function() while true do end end) end
    ("a"):rep(30000):find((".-"):rep(20) .. "b")
  end)
  coroutine.resume(left.co)
end)
