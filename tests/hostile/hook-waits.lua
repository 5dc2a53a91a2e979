-- tries: hooks that take long to come back, for more requests than may wait
-- must: those that are too many are refused; other rooms do not notice
-- trigger: unanswered
-- parallel: 400
-- body: 5000
-- watch: 500
-- expect: sent
local Hook = {}

function Hook:onBeforeRequest(request)
  if request.subpath == "/attack" then sleep(3000) end
end

return require "attack" (function() return "never" end, Hook)
