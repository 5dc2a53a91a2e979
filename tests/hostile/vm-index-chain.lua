-- tries: a chain of 1990 tables behind each other by __index, looked through to its end by each access
--   of C functions that loop
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  local chain = {}
  for _ = 1, 1990 do chain = setmetatable({}, { __index = chain }) end
  chain = setmetatable({}, { __index = chain, __len = function() return math.maxinteger - 1 end })
  table.move(chain, 1, 1e15, 1, {})
end)
