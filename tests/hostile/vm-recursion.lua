-- tries: recursion until the stack is full, again and again
-- must: the handler ends with an error; the stack that it leaves is the room's memory
-- trigger: message
-- expect: open
local function deeper(n) return 1 + deeper(n + 1) end

return require "attack" (function()
  while true do pcall(deeper, 1) end
end)
