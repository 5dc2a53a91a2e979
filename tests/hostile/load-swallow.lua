-- tries: a loop in the file scope that catches what ends it, in a message handler, a coroutine and a __close
-- must: neither check nor run hangs
-- trigger: load
-- expect: exit 1
-- says: parties/hostile.lua
local function forever()
  local _ <close> = setmetatable({}, { __close = function() while true do end end })
  while true do end
end
while true do
  xpcall(coroutine.wrap(forever), forever)
end
