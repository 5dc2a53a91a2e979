-- tries: hibernation of connections that all have one long string as their state
-- must: others are served, memory within the cap
-- trigger: request
-- clients: 20
-- watch: 8000
-- expect: 200 or 500
-- limits: roomMemory = 33554432, idleRoom = 1500
-- room: lost
local P = { options = { hibernate = true, persist = true } }

function P:onStart()
  if party.id == "victim" then party.every(60000, function() end) end -- it stays in memory, with what it was told
end

return require "attack" (function(self, request)
  local text = ("x"):rep(7 * 1024 * 1024)
  self.text = text
  for c in party.getConnections() do c.state = text end
  return "ok"
end, P)
