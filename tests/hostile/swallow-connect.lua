-- tries: onConnect that loops, for several clients at the same time
-- must: each is closed with 1011, between two of them others are served
-- trigger: connect
-- parallel: 4
-- expect: 101 closed 1011 or 500
local Connect = {}

function Connect:onConnect() while true do end end

return require "attack" (function() return "never" end, Connect)
