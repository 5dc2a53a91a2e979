-- tries: raising what is no text: nil, nothing, booleans, NaN, functions, coroutines, the host's objects, _G, tables
--   whose metamethods raise and loop
-- must: 500 each time, a line in the log that names the type
-- trigger: request
-- events: 16
-- clients: 1
-- expect: 500
return require "attack" (function(_, request)
  local function forever() while true do end end
  local mt = { __index = forever, __tostring = forever, __name = forever, __len = forever, __eq = forever, __concat = forever,
               __close = forever, __call = forever, __pairs = forever, __metatable = forever }
  local cyclic = {}
  cyclic.message = cyclic
  local values = { n = 16, nil, false, 0 / 0, 2 ^ 63, print, coroutine.create(print), request, request.headers, party, _G, json.null,
                   setmetatable({}, mt), setmetatable({ message = setmetatable({}, mt) }, mt), cyclic, { close = math.maxinteger }, { close = 1005, reason = {} } }
  error(values[tonumber(request.query.n)], tonumber(request.query.n))
end)
