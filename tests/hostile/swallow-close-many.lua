-- tries: two hundred variables to be closed, in as many calls and as many protected ones; each loops for
--   itself when it is closed
-- must: all of them together end with the handler
-- trigger: request
-- expect: 500
local mt = { __close = function() pcall(function() while true do end end) while true do end end }

local function nest(n)
  local _ <close> = setmetatable({}, mt)
  if n == 0 then while true do end end
  nest(n - 1)
end

return require "attack" (function()
  for _ = 1, 200 do pcall(nest, 150) end
end)
