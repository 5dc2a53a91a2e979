-- tries: table.remove from a table whose __len says that it has 2^63 items
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  table.remove(setmetatable({}, { __len = function() return math.maxinteger - 1 end }), 1)
end)
