-- tries: error values as large as memory: strings of megabytes, with positions put in front again and again,
--   through coroutines and message handlers that make them longer
-- must: errors that are cut, memory within the cap
-- trigger: request
-- events: 4
-- expect: 500
return require "attack" (function(_, request)
  local n = request.query.n
  if n == "1" then error(("e"):rep(3000000)) end
  if n == "2" then error({ message = ("m"):rep(3000000) }) end
  if n == "3" then error({ close = 4000, reason = ("r"):rep(3000000) }) end
  local wrap = function() error(("w"):rep(100000)) end
  for _ = 1, 100 do wrap = coroutine.wrap(wrap) end
  select(2, xpcall(wrap, function(err) error(err .. err) end))
  wrap()
end)
