-- tries: onStop that loops, in forty rooms
-- must: the server ends soon after it was told to, whatever they take together
-- trigger: request
-- rooms: 40
-- limits: roomMemory = 1048576
-- expect: 200
local Stop = {}

function Stop:onStop() while true do end end

return require "attack" (function() return "ok" end, Stop)
