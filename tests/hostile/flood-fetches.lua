-- tries: handlers that fetch without an end what refuses them at once
-- must: others are served
-- trigger: unanswered
-- parallel: 60
-- expect: sent
-- watch: 1500
-- room: lost
return require "attack" (function()
  while true do fetch("http://127.0.0.1:1/", { timeout = 1 }) end
end)
