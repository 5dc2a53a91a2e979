-- tries: using the request of a hook that is over, from another hook and while its room has it
-- must: it leads nowhere
-- trigger: request
-- events: 3
-- expect: 200 safe
local Hook = {}
local stash = {}

function Hook:onBeforeRequest(request)
  if request.subpath ~= "/attack" then return end
  for _, old in ipairs(stash) do
    for _, use in ipairs {
      function() return old.request.body end, function() return old.request:json() end,
      function() return old.request.headers end, function() old.headers["x-late"] = "1" end,
    } do
      if pcall(use) then return Response("it was used") end
    end
    for _ in pairs(old.headers) do end
  end
  stash[#stash + 1] = { request = request, headers = request.headers }
end

return require "attack" (function() return "safe" end, Hook)
