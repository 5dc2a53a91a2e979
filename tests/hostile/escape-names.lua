-- tries: errors and tracebacks with names made to mislead: escape sequences, line breaks, lines that look like the
--   log's own, names of a megabyte, of chunks, functions, fields and types
-- must: lines of the log are one JSON object each, short, and nobody else's
-- trigger: request
-- events: 6
-- expect: 500
local forged = '\n{"ts":"2020-01-01T00:00:00Z","level":"info","msg":"forged","forged":true}\n'

return require "attack" (function(_, request)
  local n = request.query.n
  if n == "1" then load("error('x')", "=" .. forged)() end
  if n == "2" then load("error('x')", "@" .. ("\27[2J\r\n\0"):rep(100000))() end
  if n == "3" then
    local names = { ["\27]0;x\7" .. forged] = function() error(forged .. ("\27[31m"):rep(10000)) end }
    for _, f in pairs(names) do f() end
  end
  if n == "4" then
    local t = setmetatable({}, { __name = forged .. ("n"):rep(1000000) })
    return t.x.y + ("x" < t)
  end
  if n == "5" then
    local deep = load("local f = ... return f(f)", forged)
    deep(deep)
  end
  xpcall(error, function(err) error(debug.traceback(err, 0) .. debug.traceback(forged, -5) .. debug.traceback("x", 1 << 40)) end, forged)
  error(forged)
end)
