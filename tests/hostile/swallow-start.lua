-- tries: onStart that loops
-- must: what woke the room gets 500, each time anew
-- trigger: request
-- events: 3
-- expect: 500
-- room: lost
local Start = {}

function Start:onStart()
  if party.id:find("^attack") then while true do end end
end

return require "attack" (function() return "never" end, Start)
