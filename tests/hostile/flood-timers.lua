-- tries: ten thousand timers of a millisecond
-- must: others are served
-- trigger: request
-- expect: 200 started or 500
-- watch: 1500
return require "attack" (function()
  local ticks = 0
  for _ = 1, 10000 do party.every(1, function() ticks = ticks + 1 end) end
  return "started"
end)
