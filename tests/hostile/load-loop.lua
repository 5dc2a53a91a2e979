-- tries: an endless loop in the file scope
-- must: neither check nor run hangs: both say which file took too long
-- trigger: load
-- expect: exit 1
-- says: parties/hostile.lua
while true do end
