-- tries: handlers that call other rooms and themselves, without an end and many at once
-- must: others are served, and what a call holds is the caller's memory (eight rooms with little of their own hear it)
-- trigger: unanswered
-- parallel: 200
-- limits: roomMemory = 4194304, callTimeout = 200
-- expect: sent
-- watch: 1500
-- room: lost
local attack = require "attack"
local P = attack(function()
  local name = party.name
  while true do
    for _ = 1, 20 do party.parties[name]:get("victim-" .. math.random(8)):call("echo", ("x"):rep(100000)) end
    party.parties[name]:get(party.id):call("again")
  end
end)
function P:echo(text) return text .. text end
function P:again() return party.parties[party.name]:get(party.id):call("again") end
return P
