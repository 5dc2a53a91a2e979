-- tries: a hundred rooms that work for a while and wait for nothing, without an end
-- must: others are served
-- trigger: unanswered
-- rooms: 100
-- limits: roomMemory = 1048576
-- expect: sent
-- watch: 1500
-- room: lost
return require "attack" (function()
  while true do
    local from = os.clock()
    while os.clock() < from + 0.02 do end
    sleep(0)
  end
end)
