-- tries: onStop that loops and waits by turns, and a waiting handler whose variables loop when they are closed
-- must: the server ends soon after it was told to
-- trigger: unanswered
-- expect: sent
-- watch: 100
local Stop = {}

function Stop:onStop()
  while true do
    pcall(sleep, 0)
    pcall(function() while true do end end)
  end
end

return require "attack" (function()
  local _ <close> = setmetatable({}, { __close = function() while true do end end })
  sleep(1e9)
end, Stop)
