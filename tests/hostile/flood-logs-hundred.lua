-- tries: the same by a hundred rooms, from timers
-- must: others are served
-- trigger: request
-- rooms: 100
-- limits: roomMemory = 1048576
-- expect: 200 started
-- watch: 1500
return require "attack" (function()
  local text = ("l"):rep(1000)
  party.every(1, function() for _ = 1, 4 do print(text) end end)
  return "started"
end)
