-- tries: stacks of many coroutines, all of them full, which the collector goes through again at its end
-- must: the handler ends with an error
-- trigger: request
-- events: 3
-- expect: 500 or 200
-- limits: roomMemory = 33554432
return require "attack" (function(self)
  self.kept = self.kept or {}
  for _ = 1, 50 do
    local co = coroutine.create(function(...) coroutine.yield() return ... end)
    coroutine.resume(co, table.unpack({}, 1, 20000))
    self.kept[#self.kept + 1] = co
  end
  for i = 1, 200 do local _ = ("x"):rep(100000) .. i end
  return "collected"
end)
