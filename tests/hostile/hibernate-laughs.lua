-- tries: hibernation of connections whose states are small in memory and large when they are kept
-- must: others are served, memory within the cap
-- trigger: request
-- clients: 20
-- watch: 8000
-- expect: 200 or 500
-- limits: roomMemory = 33554432, idleRoom = 1500
-- room: lost
local P = { options = { hibernate = true } }

function P:onStart()
  if party.id == "victim" then party.every(60000, function() end) end -- it stays in memory, with what it was told
end

return require "attack" (function(self, request)
  local t = {}
  for i = 1, 1000 do t[i] = 1 end
  local u = {}
  for i = 1, 1000 do u[i] = t end
  local v = {}
  for i = 1, 30 do v[i] = u end
  for c in party.getConnections() do c.state = v end
  return "ok"
end, P)
