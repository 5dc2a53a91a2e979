-- tries: table.concat of endless items, empty ones that need no memory, and of ranges as large as the integers
-- must: the handler ends with an error each time
-- trigger: request
-- events: 3
-- expect: 500
return require "attack" (function(_, request)
  local n = request.query.n
  if n == "1" then table.concat(setmetatable({}, { __index = rawlen }), "", 1, math.maxinteger) end
  if n == "2" then table.concat(setmetatable({}, { __index = function() return "" end }), "", math.mininteger, math.maxinteger) end
  local parts = {}
  for i = 1, 100000 do parts[i] = "" end
  while true do table.concat(parts) end
end)
