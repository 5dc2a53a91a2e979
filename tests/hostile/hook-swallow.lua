-- tries: a hook that catches its end by time, in coroutines and variables to be closed
-- must: it ends all the same
-- trigger: request
-- parallel: 2
-- events: 2
-- expect: 500
local Hook = {}

local function stay()
  while true do
    pcall(function()
      local again <close> = setmetatable({}, { __close = function() while true do end end })
      coroutine.wrap(function() while true do pcall(function() while true do end end) end end)()
    end)
  end
end

function Hook:onBeforeRequest(request)
  if request.subpath == "/attack" then stay() end
end

return require "attack" (function() return "never" end, Hook)
