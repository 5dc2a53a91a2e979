-- tries: onBeforeConnect that loops in C, for several clients at the same time
-- must: each is refused, between two of them others are served
-- trigger: connect
-- parallel: 4
-- expect: 500
local Hook = {}

function Hook:onBeforeConnect()
  local text = ("a"):rep(100000)
  while true do text:find(("a*"):rep(20) .. "b") end
end

return require "attack" (function() return "never" end, Hook)
