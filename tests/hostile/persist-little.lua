-- tries: persist of selfs that take a few ms to go through, in two hundred rooms at the same moment
-- must: others are served between them
-- trigger: request
-- rooms: 200
-- watch: 4000
-- limits: roomMemory = 1048576
-- expect: 200
local P = { options = { persist = true } }
return require "attack" (function(self)
  local t = {}
  for i = 1, 1000 do t[i] = 1 end
  self.all = {}
  for i = 1, 250 do self.all[i] = t end
  return "ok"
end, P)
