-- tries: timers cancelled twice, from within, after their end, by each other, made in a timer, in onClose, in onStop,
--   and in a handler that is then ended
-- must: nothing runs that was cancelled; no crash
-- trigger: request
-- events: 3
-- clients: 3
-- expect: 200 safe or 500
-- watch: 400
local Stale, timers = {}, {}

local function start(ms)
  local timer
  timer = party.every(ms, function()
    timer:cancel()
    timer:cancel()
    for _, other in ipairs(timers) do other:cancel() end
    timers[#timers + 1] = party.after(0, function() pcall(timer.cancel, timer) error("x") end)
    timers[#timers + 1] = party.after(0, function() sleep(1) timer:cancel() end)
    if #timers < 200 then start(1) end
  end)
  timers[#timers + 1] = timer
end

function Stale:onStop()
  party.after(0, print)
  party.every(1, function() while true do end end)
  for _, timer in ipairs(timers) do timer:cancel() end
end

return require "attack" (function(_, request)
  for i = 1, 20 do start(i) end
  assert(not pcall(timers[1].cancel))
  assert(not pcall(timers[1].cancel, {}))
  assert(not pcall(timers[1].cancel, request))
  if request.query.n == "3" then
    start(1)
    while true do end
  end
  return "safe"
end, Stale)
