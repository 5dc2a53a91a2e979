-- tries: a message handler that raises in its turn, so that Lua calls it again for its own errors until C's
--   stack is full; in a loop
-- must: the handler ends with an error
-- trigger: message
-- expect: open
return require "attack" (function()
  local function again(err) error(err) end
  while true do xpcall(error, again, "x") end
end)
