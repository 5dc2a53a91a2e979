-- tries: coroutine.close of a coroutine whose variables loop when they are closed, nested and in a loop
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local function holding(close)
  local co = coroutine.create(function()
    local _ <close> = setmetatable({}, { __close = close })
    coroutine.yield()
  end)
  coroutine.resume(co)
  return co
end

local function nest(n)
  if n == 0 then while true do end end
  while true do coroutine.close(holding(function() nest(n - 1) end)) end
end

return require "attack" (function() nest(100) end)
