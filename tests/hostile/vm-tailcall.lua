-- tries: tail calls without an end, which never fill the stack
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local function again(n) return again(n + 1) end

return require "attack" (function() return again(0) end)
