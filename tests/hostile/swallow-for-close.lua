-- tries: the closing value of a generic for that loops when the loop is left by an error
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local closing = setmetatable({}, { __close = function() while true do end end })

return require "attack" (function()
  while true do
    pcall(function()
      for _ in function() return true end, nil, nil, closing do while true do end end
    end)
  end
end)
