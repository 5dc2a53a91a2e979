-- tries: modules that take the compiler much memory, or much when they are kept compiled, as many as there are
-- must: compiling is within the room's memory and the handler's time, and what is kept for all rooms has a bound
-- trigger: request
-- events: 30
-- expect: 200 tried or 500
return require "attack" (function(_, request)
  local n = request.query.n
  pcall(require, "heavy.fields")
  pcall(require, "heavy.tables")
  assert(not pcall(require, "heavy.large"))
  assert(require("heavy.text" .. n))
  return "tried"
end)
