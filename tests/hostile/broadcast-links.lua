-- tries: empty broadcasts without an end to eighty connections of another room, for each of which there is a mail
-- must: what is to be sent is bounded, however many get it; memory within the cap; others are served
-- trigger: request
-- limits: roomMemory = 33554432
-- expect: 200 sent or 500
-- watch: 1500
local attack = require "attack"
local P = attack(function()
  party.parties[party.name]:get("listener"):call("listen", party.id)
  for _ = 1, 1e6 do
    if not pcall(party.broadcast, "") then break end
  end
  return "sent"
end)
function P:listen(id)
  self.sockets = {}
  for i = 1, 80 do self.sockets[i] = party.parties[party.name]:get(id):connect() end
end
return P
