-- tries: a loop of C in the file scope
-- must: neither check nor run hangs
-- trigger: load
-- expect: exit 1
-- says: parties/hostile.lua
local t = table.move({}, 1, math.maxinteger - 1, 2)
return t
