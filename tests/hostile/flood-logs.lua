-- tries: lines of the log without an end, as long as they may be
-- must: the handler ends with an error; what nobody reads is dropped and counted
-- trigger: request
-- events: 3
-- expect: 500
return require "attack" (function(_, request)
  local text = ("l\n"):rep(10000)
  if request.query.n == "1" then while true do print(text) end end
  if request.query.n == "2" then while true do log.error("x", { a = text, b = text, c = { text } }) end end
  while true do log.debug(text) end
end)
