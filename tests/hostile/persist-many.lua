-- tries: persist of selfs that take long to go through, in many rooms at the same moment
-- must: others are served
-- trigger: request
-- rooms: 10
-- watch: 6000
-- expect: 200 or 500
local P = { options = { persist = true } }
return require "attack" (function(self, request)
  local t = {}
  for i = 1, 1000 do t[i] = 1 end
  local u = {}
  for i = 1, 1000 do u[i] = t end
  self.all = { u, u, u, u, u, u, u, u }
  return "ok"
end, P)
