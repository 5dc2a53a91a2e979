-- tries: a timer of 1 ms that loops each time
-- must: each run ends; between two runs others are served
-- trigger: request
-- expect: 200 started
-- watch: 1500
return require "attack" (function()
  party.every(1, function() while true do end end)
  return "started"
end)
