-- tries: handlers that nobody knows, ten thousand of them, with names of a kilobyte
-- must: refused with a text that can be read
-- trigger: load
-- expect: exit 1
-- says: onA
local Names = { options = {} }
for i = 1, 2000 do
  Names["onA" .. i .. ("\27[31mx"):rep(200)] = print
  Names.options["option" .. i .. ("\n"):rep(100)] = i
end
return Names
