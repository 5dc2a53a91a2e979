-- tries: returning and raising what a hook may not
-- must: each is 500 or 401, and nothing of it is run
-- trigger: request
-- events: 12
-- expect: 500 or 401
local Hook = {}

local evil = setmetatable({}, {
  __index = function() while true do end end,
  __tostring = function() while true do end end,
  __name = ("x"):rep(1e6),
  __pairs = function() while true do end end,
  __len = function() while true do end end,
})

local ways = {
  function() return evil end,
  function() error(evil) end,
  function() return { room = evil } end,
  function() return { [evil] = "x" } end,
  function() return { party = ("p"):rep(1e6) .. "\0", room = ("r"):rep(1e6) } end,
  function() return { room = "a/b" } end,
  function() return { room = "" } end,
  function() return coroutine.create(print) end,
  function(request) return request end,
  function(request) return request.headers end,
  function() return 0 / 0 end,
  function() return print end,
}

function Hook:onBeforeRequest(request)
  if request.subpath == "/attack" then return ways[tonumber(request.query.n)](request) end
end

return require "attack" (function() return "never" end, Hook)
