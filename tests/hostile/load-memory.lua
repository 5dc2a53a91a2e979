-- tries: a file scope that never has enough
-- must: an error that names roomMemory, no more memory than that
-- trigger: load
-- expect: exit 1
-- says: parties/hostile.lua
local kept = {}
while true do kept[#kept + 1] = ("x"):rep(1000) .. #kept end
