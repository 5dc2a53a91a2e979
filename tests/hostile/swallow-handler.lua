-- tries: a message handler that loops in its turn; Lua calls it with hooks switched off
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local function forever() while true do end end

return require "attack" (function()
  xpcall(forever, forever)
  return "swallowed"
end)
