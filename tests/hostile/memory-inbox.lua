-- tries: onStart that never comes back from its wait, while two hundred requests of a megabyte wait for it
-- must: memory within the cap, by an answer of 503
-- trigger: unanswered
-- parallel: 200
-- body: 1000000
-- expect: sent
-- watch: 1500
-- room: lost
local Start = {}

function Start:onStart()
  if party.id:find("^attack") then sleep(1e9) end
end

return require "attack" (function() return "never" end, Start)
