-- tries: a hook that keeps all requests that it sees, with a table of its own for each
-- must: memory within the cap, whatever becomes of the requests
-- trigger: request
-- parallel: 40
-- events: 5
-- body: 60000
-- expect: 200 or 500 or 401 or 503
local Hook, kept = {}, {}

function Hook:onBeforeRequest(request)
  if request.subpath ~= "/attack" then return end
  kept[#kept + 1] = { request, request.headers, request.body, request.query, ("x"):rep(100000) .. #kept }
end

return require "attack" (function() return "late" end, Hook)
