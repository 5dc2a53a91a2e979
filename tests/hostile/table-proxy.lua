-- tries: sorting, inserting, concatenating and unpacking a table that is none: its length is 2^31, each item
--   comes from a function of C and goes to one
-- must: the handler ends with an error each time; no Lua code runs in these loops
-- trigger: request
-- events: 4
-- expect: 500
return require "attack" (function(_, request)
  local n = request.query.n
  local proxy = setmetatable({}, {
    __len = function() return (1 << 31) - 3 end,
    __index = rawlen, -- rawlen(t, key) is 0
    __newindex = rawlen,
  })
  if n == "1" then table.sort(proxy) end
  if n == "2" then table.sort(proxy, rawequal) end
  if n == "3" then table.insert(proxy, 1, 0) end
  table.move(proxy, 1, (1 << 31) - 3, 2)
end)
