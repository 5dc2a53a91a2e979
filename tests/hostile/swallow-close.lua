-- tries: a variable to be closed whose __close loops when the deadline's error unwinds
-- must: __close ends with the handler
-- trigger: request
-- expect: 500
return require "attack" (function()
  local _ <close> = setmetatable({}, { __close = function() while true do end end })
  while true do end
end)
