-- tries: persist of a self that has one emptied large table many times
-- must: others are served
-- trigger: request
-- events: 12
-- watch: 6000
-- expect: 200 or 500
-- limits: roomMemory = 33554432
-- room: lost
local P = { options = { persist = true } }
local t = {}
return require "attack" (function(self, request)
  local n = tonumber(request.query.n)
  if n <= 10 then
    for i = 1, 30000 do t[(n * 30000 + i) * 1.5] = true end
    return "filled"
  end
  if n == 11 then
    for k in next, t do t[k] = nil end
    return "emptied"
  end
  local all = {}
  for i = 1, 60000 do all[i] = t end
  self.all = all
  return "ok"
end, P)
