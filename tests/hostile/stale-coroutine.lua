-- tries: the host's own coroutines: resuming, closing, wrapping the one that runs a handler, from within it, from
--   another event while it waits, and after its end
-- must: refused each time; the waiting handler goes on undisturbed
-- trigger: request
-- events: 3
-- parallel: 2
-- expect: 200 safe
local running = {}

return require "attack" (function()
  local co = coroutine.running()
  running[#running + 1] = co
  local function meddle()
    for _, other in ipairs(running) do
      pcall(coroutine.resume, other, "x")
      pcall(coroutine.close, other)
      pcall(coroutine.status, other)
      pcall(coroutine.isyieldable, other)
      pcall(debug.traceback, other, "x", 3)
    end
  end
  meddle()
  assert(not pcall(coroutine.yield, "out"))
  local inner = coroutine.create(function()
    running[#running + 1] = coroutine.running()
    meddle()
    sleep(20)
    meddle()
    return "inner"
  end)
  assert(select(2, coroutine.resume(inner)) == "inner")
  sleep(20)
  meddle()
  assert(coroutine.running() == co and coroutine.status(co) == "running")
  return "safe"
end)
