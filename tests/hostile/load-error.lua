-- tries: raising what can't be shown: an object whose __tostring loops
-- must: an error that names the file
-- trigger: load
-- expect: exit 1
-- says: parties/hostile.lua
error(setmetatable({}, { __tostring = function() while true do end end, __index = error }))
