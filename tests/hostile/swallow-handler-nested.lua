-- tries: message handlers inside of message handlers, each of which raises, catches and loops
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local depth = 0
local function handler(err)
  depth = depth + 1
  if depth < 150 then xpcall(error, handler, err) end
  while true do pcall(error, err) end
end

return require "attack" (function()
  while true do xpcall(error, handler, "x") end
end)
