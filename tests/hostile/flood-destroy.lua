-- tries: rooms that destroy themselves and are made anew, again and again, with storage, links and calls under way
-- must: others are served
-- trigger: unanswered
-- parallel: 20
-- expect: sent
-- watch: 1500
-- room: lost
local attack = require "attack"
local P = attack(function()
  local name = party.name
  for i = 1, 1e9 do
    local stub = party.parties[name]:get("victim-" .. i % 20)
    local socket = stub:connect()
    if socket then socket:send("x") end
    stub:call("store", i)
    stub:call("destroy")
    if #party.parties[name]:list({ limit = 1000 }) > 900 then return end
  end
end)
function P:store(i) party.storage.put("k" .. i, ("x"):rep(10000)) end
function P:destroy() party.after(0, function() party.destroy() end) party.destroy() end
return P
