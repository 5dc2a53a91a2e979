-- tries: coroutines that wait for ever, each with a deep stack
-- must: errors, memory within the cap
-- trigger: request
-- events: 3
-- expect: 500
return require "attack" (function(self)
  self.kept = self.kept or {}
  local function deep(n)
    if n == 0 then coroutine.yield() end
    return 1 + deep(n - 1)
  end
  while true do
    local co = coroutine.create(deep)
    self.kept[#self.kept + 1] = co
    coroutine.resume(co, 1000)
  end
end)
