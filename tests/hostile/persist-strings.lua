-- tries: persist of a self that holds one long string so often that it is as large as roomMemory when it is kept
-- must: others are served, memory within the cap
-- trigger: request
-- events: 4
-- watch: 6000
-- expect: 200 or 500
-- limits: roomMemory = 33554432
local P = { options = { persist = true } }
return require "attack" (function(self, request)
  local n = tonumber(request.query.n)
  local text, all = ("x"):rep(1024 * 1024), {}
  for i = 1, 32 - 6 * n do all[i] = text end
  self.all = all
  sleep(1200)
  return "ok"
end, P)
