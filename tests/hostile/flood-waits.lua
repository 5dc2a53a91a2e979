-- tries: two hundred and fifty handlers of a room that work for a while and wait for nothing, without an end
-- must: others are served
-- trigger: unanswered
-- parallel: 250
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
