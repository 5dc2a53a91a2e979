-- tries: tracebacks in a loop: of deep stacks, of other coroutines, with long messages, from message handlers
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local function deep(n, f) if n == 0 then return f() end return (deep(n - 1, f)) end

return require "attack" (function()
  local co = coroutine.create(function() deep(100000, coroutine.yield) end)
  coroutine.resume(co)
  while true do
    debug.traceback(co, "x", 99990)
    pcall(deep, 100000, function() return debug.traceback(("x"):rep(100000), 5) end)
    xpcall(deep, debug.traceback, 100000, error)
  end
end)
