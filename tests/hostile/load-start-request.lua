-- tries: a file scope, a hook, an onStart and an onRequest that each take nearly all of their time, in room after room
-- must: others are served between them; a file scope and its first handler share one handler's time
-- trigger: request
-- events: 20
-- expect: any
local function burn(ms)
  local began = os.clock()
  while os.clock() - began < ms / 1000 do end
end

burn(225)

local Party, n = {}, 0

function Party:onBeforeRequest(request)
  if request.subpath == "/attack" then
    n = n + 1
    burn(225)
    return { room = "fresh" .. n }
  end
end

function Party:onStart()
  if party.id:find("fresh%d") then burn(225) end
end

return require "attack" (function(self, request)
  burn(225)
  return "x"
end, Party)
