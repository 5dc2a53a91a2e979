-- tries: refusing three hundred clients by an error of a megabyte with a traceback each
-- must: each is closed with 1011; others are served
-- trigger: connect
-- parallel: 300
-- expect: 101 closed 1011 or 503
local Connect = {}

local function deep(n) if n == 0 then error(("e"):rep(1000000)) end return 1 + deep(n - 1) end
function Connect:onConnect() deep(1000) end

return require "attack" (function() return "never" end, Connect)
