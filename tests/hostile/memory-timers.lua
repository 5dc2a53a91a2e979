-- tries: timers without an end, none of which is ever due
-- must: they count as the room's memory: an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  while true do party.after(1e9, print) end
end)
