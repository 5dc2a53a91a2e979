-- tries: coroutine.wrap around the loop, its error caught, its variables closed by a loop
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local mt = { __close = function() while true do end end }

return require "attack" (function()
  while true do
    pcall(coroutine.wrap(function()
      local _ <close> = setmetatable({}, mt)
      while true do end
    end))
  end
end)
