-- tries: a hook that loops, for several requests at the same time
-- must: each is answered with 500, between two of them others are served
-- trigger: request
-- parallel: 4
-- expect: 500
local Hook = {}

function Hook:onBeforeRequest(request)
  if request.subpath == "/attack" then while true do end end
end

return require "attack" (function() return "never" end, Hook)
