-- tries: returning a party whose metatable answers every question with a loop, with handlers and options behind it
-- must: started or refused, but in time; read without metamethods
-- trigger: load
-- expect: exit 1
-- says: parties/hostile.lua
local function forever() while true do end end
local mt = { __index = forever, __pairs = forever, __len = forever, __call = forever, __tostring = forever, __eq = forever }
return setmetatable({ options = setmetatable({}, mt), onMesage = setmetatable({}, mt) }, mt)
