-- tries: finalizers, which run outside of handlers: __gc in the metatable, or not a function, or put in later,
--   or behind __index
-- must: setmetatable refuses what Lua would call; nothing else is ever called
-- trigger: request
-- events: 3
-- expect: 200 refused
local function forever() while true do end end

return require "attack" (function()
  local refused = 0
  for _, gc in ipairs { forever, true, 1, "x", {}, setmetatable({}, { __call = forever }) } do
    if not pcall(setmetatable, {}, { __gc = gc }) then refused = refused + 1 end
  end
  local later = {}
  setmetatable({}, later)
  later.__gc = forever
  setmetatable({}, setmetatable({}, { __index = { __gc = forever } }))
  for _ = 1, 200 do local _ = ("x"):rep(100000) .. now() end
  return refused == 6 and "refused" or "accepted"
end)
