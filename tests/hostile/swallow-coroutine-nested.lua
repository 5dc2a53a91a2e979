-- tries: a hundred and fifty coroutines inside of each other, each of which tries again when the inner one
--   has died
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local function nest(n)
  if n == 0 then while true do end end
  while true do coroutine.resume(coroutine.create(nest), n - 1) end
end

return require "attack" (function() nest(150) end)
