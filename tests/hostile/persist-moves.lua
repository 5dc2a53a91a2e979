-- tries: persist of a self whose encoding moves megabytes again and again
-- must: others are served, memory within the cap
-- trigger: request
-- watch: 6000
-- expect: 200 or 500
-- limits: roomMemory = 33554432
local P = { options = { persist = true } }
return require "attack" (function(self, request)
  local t = ("x"):rep(14 * 1024 * 1024)
  for i = 1, 120 do
    local u = { t }
    for j = 2, 300 do u[j] = 1 end
    t = u
  end
  self.all = t
  return "ok"
end, P)
