-- tries: persist of a self that is small in memory and as large as roomMemory when it is kept
-- must: others are served, memory within the cap
-- trigger: request
-- watch: 6000
-- expect: 200 or 500
-- limits: roomMemory = 33554432
local P = { options = { persist = true } }
return require "attack" (function(self, request)
  local t = {}
  for i = 1, 1000 do t[i] = 1 end
  local u = {}
  for i = 1, 1000 do u[i] = t end
  local v = {}
  for i = 1, 31 do v[i] = u end
  self.all = v
  return "ok"
end, P)
