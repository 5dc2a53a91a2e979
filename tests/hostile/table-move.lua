-- tries: table.move of 2^63 nils, forwards and backwards, onto itself and elsewhere
-- must: the handler ends with an error each time
-- trigger: request
-- events: 3
-- expect: 500
return require "attack" (function(_, request)
  local n, t = request.query.n, {}
  if n == "1" then table.move(t, 1, math.maxinteger - 1, 2) end
  if n == "2" then table.move(t, 1, math.maxinteger - 1, 1, {}) end
  table.move(t, math.mininteger + 1, -1, math.mininteger)
end)
