-- tries: onClose that loops, for several clients that go at the same time
-- must: each run ends, others are served
-- trigger: close
-- parallel: 4
-- expect: closed
-- watch: 1500
local Close = {}

function Close:onClose() while true do end end

return require "attack" (function() return "never" end, Close)
