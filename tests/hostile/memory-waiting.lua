-- tries: handlers that wait for ever with a request of a megabyte each, and two hundred more behind them
-- must: what waits in C counts as the room's too: 503, or memory within the cap
-- trigger: unanswered
-- parallel: 200
-- body: 1000000
-- expect: sent
-- watch: 1500
-- room: lost
return require "attack" (function() sleep(1e9) end)
