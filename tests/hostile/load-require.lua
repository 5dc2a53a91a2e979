-- tries: modules in a circle, modules that are not there, with names of a megabyte, in the file scope
-- must: an error that names what was required
-- trigger: load
-- expect: exit 1
-- says: parties/hostile.lua
for _ = 1, 100 do
  pcall(require, ("x"):rep(1000000))
  pcall(require, ("x."):rep(1000))
  pcall(require, "../secret")
end
require "nothing.there"
