-- tries: __close that yields without an end, in a coroutine that is resumed without an end
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  local co = coroutine.create(function()
    local _ <close> = setmetatable({}, { __close = function() while true do coroutine.yield() end end })
    error("unwind")
  end)
  while true do coroutine.resume(co) end
end)
