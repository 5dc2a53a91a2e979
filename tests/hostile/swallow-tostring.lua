-- tries: __tostring, __name and __index of what is printed, formatted and raised that never come back
-- must: the handler ends with an error; an error value's __tostring is not called at all
-- trigger: request
-- events: 4
-- expect: 500
local hostile = setmetatable({}, { __tostring = function() while true do end end, __name = ("n"):rep(1000) })

return require "attack" (function(_, request)
  local n = request.query.n
  if n == "1" then print(hostile) end
  if n == "2" then return ("%s"):format(hostile) end
  if n == "3" then log.error(hostile) end
  error(hostile)
end)
