-- tries: a table that is its own __call, which Lua goes on resolving in one instruction, and a chain of
--   a hundred thousand of them
-- must: an error each time
-- trigger: request
-- events: 2
-- expect: 500
return require "attack" (function(_, request)
  local t = setmetatable({}, {})
  getmetatable(t).__call = t
  if request.query.n == "1" then return t() end
  while true do
    local chain = print
    for _ = 1, 100000 do chain = setmetatable({}, { __call = chain }) end
    pcall(chain)
  end
end)
