-- tries: coroutine.close in the __close of a coroutine that is being closed, ten thousand deep: C's stack
-- must: an error; Lua before 5.4.5 overran the C stack
-- trigger: request
-- expect: 500 or 200 survived
return require "attack" (function()
  local co
  for _ = 1, 10000 do
    local inner = co
    co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() if inner then coroutine.close(inner) end end })
      coroutine.yield()
    end)
    coroutine.resume(co)
  end
  coroutine.close(co)
  return "survived"
end)
