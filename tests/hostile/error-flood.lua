-- tries: a hundred timers that raise texts of megabytes every millisecond
-- must: the log says what it can and counts what it can't; others are served
-- trigger: request
-- expect: 200 started
-- watch: 1500
return require "attack" (function()
  local text = ("e\n\27"):rep(1000000)
  for _ = 1, 100 do party.every(1, function() error(text) end) end
  return "started"
end)
