-- tries: a million calls of a replacement that swallows its errors, and a table that replaces by a loop
-- must: the handler ends with an error
-- trigger: request
-- events: 2
-- expect: 500
local function forever() while true do end end

return require "attack" (function(_, request)
  local text = ("x"):rep(1000000)
  if request.query.n == "1" then
    return (text:gsub(".", function() pcall(forever) end))
  end
  return (text:gsub(".", setmetatable({}, { __index = forever })))
end)
