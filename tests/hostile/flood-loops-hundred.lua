-- tries: a hundred rooms that loop, all at the same time
-- must: others are served between any two of them: they wait for one handler, not for a hundred
-- trigger: request
-- rooms: 100
-- limits: roomMemory = 1048576
-- expect: 500
return require "attack" (function()
  while true do end
end)
