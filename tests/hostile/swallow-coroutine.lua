-- tries: coroutine.resume as a pcall: the loop runs in a coroutine, and when that dies in the next one
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local function forever() while true do end end

return require "attack" (function()
  while true do coroutine.resume(coroutine.create(forever)) end
end)
