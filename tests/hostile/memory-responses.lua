-- tries: two hundred answers of a megabyte to clients that do not read them
-- must: memory within the cap
-- trigger: unanswered
-- parallel: 200
-- expect: sent
-- watch: 1500
return require "attack" (function() return ("x"):rep(1000000) end)
