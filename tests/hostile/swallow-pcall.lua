-- tries: pcall in an endless loop around an endless loop
-- must: the error of the deadline can't be caught
-- trigger: request
-- expect: 500
local function forever() while true do end end

return require "attack" (function()
  while true do pcall(forever) end
end)
