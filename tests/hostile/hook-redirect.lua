-- tries: a hook that changes a header, and sends the request to a room that can't be
-- must: 500, and nothing is looked at that is gone
-- trigger: request
-- events: 3
-- expect: 500
local Hook = {}

function Hook:onBeforeRequest(request)
  if request.subpath ~= "/attack" then return end
  request.headers["x-changed"] = ("x"):rep(tonumber(request.query.n) * 100)
  return { room = "a/b" }
end

return require "attack" (function() return "never" end, Hook)
