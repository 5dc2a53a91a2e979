-- tries: a coroutine that outlives the handler which was ended, and goes on in later events, in a timer and
--   in onClose
-- must: each event has its own deadline, and each ends
-- trigger: message
-- events: 3
-- expect: open
-- watch: 800
local co

local function go_on()
  for _ = 1, 1000 do coroutine.resume(co) end
end

local Outlive = {}

function Outlive:onClose() go_on() end

return require "attack" (function()
  co = co or coroutine.create(function()
    while true do
      local from = now()
      while now() < from + 100 do end
      coroutine.yield()
    end
  end)
  party.after(1, go_on)
  go_on()
end, Outlive)
