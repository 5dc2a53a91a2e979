-- tries: __index and __newindex functions that call themselves through the table that they serve
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local proxy = setmetatable({}, {
  __index = function(t, key) return t[key + 1] end,
  __newindex = function(t, key, value) t[key + 1] = value end,
})

return require "attack" (function()
  while true do
    pcall(function() return proxy[1] end)
    pcall(function() proxy[1] = true end)
  end
end)
