-- tries: fifty streams without an end, of pieces of a megabyte, to clients that do not read them
-- must: writes wait; memory within the cap; others are served
-- trigger: unanswered
-- parallel: 50
-- expect: sent
-- watch: 1500
local piece = ("x"):rep(1000000)

return require "attack" (function()
  return Response.stream(function(stream)
    while true do stream:write(piece) end
  end)
end)
