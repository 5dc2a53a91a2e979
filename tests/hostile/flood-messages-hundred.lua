-- tries: a hundred rooms at the same time, each of which sends as much as it may to its client
-- must: others are served between any two of them
-- trigger: request
-- rooms: 100
-- clients: 1
-- limits: roomMemory = 1048576
-- expect: 500 or 200
-- watch: 500
return require "attack" (function()
  while true do party.broadcast(("flood"):rep(100)) end
end)
