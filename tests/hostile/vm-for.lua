-- tries: numeric loops with as many steps as there are integers, and a float loop whose step is too small to move it
-- must: the handler ends with an error both times
-- trigger: request
-- events: 2
-- expect: 500
return require "attack" (function(_, request)
  if request.query.n == "1" then
    for _ = math.mininteger, math.maxinteger do end
  end
  for _ = 1e300, 2e300, 1.0 do end
end)
