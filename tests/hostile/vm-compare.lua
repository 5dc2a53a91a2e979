-- tries: __lt, __le, __eq and __unm that never come back, called by operators and by table.sort
-- must: the handler ends with an error each time
-- trigger: request
-- events: 4
-- expect: 500
local function forever() while true do end end
local mt = { __lt = forever, __le = forever, __eq = forever, __unm = forever }
local a, b = setmetatable({}, mt), setmetatable({}, mt)

return require "attack" (function(_, request)
  local n = request.query.n
  if n == "1" then table.sort({ a, b, a, b }) end
  if n == "2" then return tostring(a <= b) end
  if n == "3" then return tostring(a == b) end
  return -a
end)
