-- tries: iteration without an end: ipairs over a table whose __index always has something, an iterator
--   that never returns nil, __pairs that gives one
-- must: the handler ends with an error each time
-- trigger: request
-- events: 3
-- expect: 500
local endless = setmetatable({}, {
  __index = function(_, i) return i end,
  __pairs = function() return function(_, i) return (i or 0) + 1 end end,
})

return require "attack" (function(_, request)
  local n = request.query.n
  if n == "1" then for _ in ipairs(endless) do end end
  if n == "2" then for _ in pairs(endless) do end end
  for _ in string.rep, "x", 3 do end
end)
