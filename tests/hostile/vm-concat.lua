-- tries: __concat that recurses until C's stack is full, from within a coroutine whose Lua stack moves
--   meanwhile
-- must: an error each time; Lua 5.4.4 of Debian reads freed memory here
-- trigger: request
-- events: 3
-- expect: 500 or 200 survived
local hostile = setmetatable({}, {})
getmetatable(hostile).__concat = function(a, b)
  local function deep(n, ...)
    if n == 0 then return a .. b end
    return (deep(n - 1, n, ...))
  end
  return deep(60) .. a .. b
end

return require "attack" (function()
  for _ = 1, 20 do
    local co = coroutine.create(function() return "x" .. hostile .. "y" .. hostile .. "z" end)
    coroutine.resume(co)
    coroutine.close(co)
  end
  return "survived"
end)
