-- tries: connections to other rooms that are never read, written without an end, and dropped
-- must: others are served, and what waits for either side is bounded
-- trigger: unanswered
-- parallel: 50
-- limits: roomMemory = 4194304, callTimeout = 200
-- expect: sent
-- watch: 1500
-- room: lost
local attack = require "attack"
local kept = {}
local P = attack(function()
  local name = party.name
  for i = 1, 1e9 do
    local socket = party.parties[name]:get("victim-" .. i % 10):connect()
    if socket then
      while socket.bufferedAmount < 1000000 and socket:send(("x"):rep(100000)) do end
      if i % 2 == 0 then kept[#kept + 1] = socket end
    else
      sleep(1)
    end
  end
end)
function P:onConnect(connection) if connection.kind == "room" then for _ = 1, 10 do connection:send(("y"):rep(50000)) end end end
local usual = P.onMessage
function P:onMessage(message, connection)
  if connection.kind == "room" then party.broadcast(message) else return usual(self, message, connection) end
end
return P
