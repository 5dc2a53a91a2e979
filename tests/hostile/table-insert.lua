-- tries: table.insert into a table whose __len says that it has 2^63 items, all of them nil
-- must: the handler ends with an error, though no instruction of the VM runs in the loop
-- trigger: request
-- expect: 500
return require "attack" (function()
  table.insert(setmetatable({}, { __len = function() return math.maxinteger - 1 end }), 1, "x")
end)
