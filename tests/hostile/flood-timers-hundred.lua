-- tries: a hundred timers of a millisecond in each of a hundred rooms, each of which works for two milliseconds
-- must: others are served; the rooms themselves have no time for more than their timers
-- trigger: request
-- rooms: 100
-- limits: roomMemory = 1048576
-- expect: 200 started
-- watch: 1500
-- room: lost
return require "attack" (function()
  for _ = 1, 100 do
    party.every(1, function()
      local from = os.clock()
      while os.clock() < from + 0.002 do end
    end)
  end
  return "started"
end)
