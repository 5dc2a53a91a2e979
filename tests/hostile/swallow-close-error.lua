-- tries: __close that raises an error in place of the deadline's, and pcall that is glad to have it
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local function nicer()
  local _ <close> = setmetatable({}, { __close = function() error("all is well", 0) end })
  while true do end
end

return require "attack" (function()
  while true do pcall(nicer) end
end)
