-- tries: a file scope that is harmless when the server starts, and loops when a room is made; not in all rooms,
--   so that others can be seen to live
-- must: requests get 500 in time, other rooms start
-- trigger: late
-- events: 2
-- expect: 500 or 200 lucky
-- room: lost
local armed = tonumber(party.env.ARMED)
if now() >= armed and now() < armed + 400 then
  while true do pcall(function() while true do end end) end
end
return require "attack" (function() return "lucky" end)
