-- tries: the address of anything, by tostring, format, print, errors of all kinds, ids, random numbers' seeds
-- must: numbers that the room counts itself; nothing that looks like an address
-- trigger: request
-- clients: 1
-- expect: 200
return require "attack" (function(_, request)
  local told = {}
  local function tell(...) for i = 1, select("#", ...) do told[#told + 1] = tostring((select(i, ...))) end end
  local things = { print, string.rep, {}, function() end, coroutine.create(print), request, request.headers, Response(""), party, json.null,
                   party.after(1e9, print), (party.getConnections()()), next, _G, party.getConnections(), ("x"):gmatch("x") }
  for _, thing in ipairs(things) do
    tell(thing, ("%s"):format(thing), ("%10.5s"):format(thing))
    tell(pcall(string.format, "%p", thing))
    tell(pcall(string.format, "%d", thing))
    tell(pcall(string.format, "%q", thing))
    tell(pcall(function() return thing + 1 end))
    tell(pcall(function() return thing .. "x" end))
    tell(pcall(function() return #thing < thing end))
    tell(pcall(error, thing))
    tell(pcall(json.encode, thing))
    tell(pcall(json.encode, { [thing] = 1 }))
    tell(pcall(party.broadcast, thing))
    tell(pcall(tonumber, thing))
    tell(pcall(setmetatable, thing, {}))
    tell(pcall(string.rep, thing))
    tell(pcall(rawset, thing, 1, 1))
    tell(pcall(log.info, "x", { field = thing }))
    print(thing)
  end
  tell(math.randomseed(1))
  tell(os.time(), os.clock(), debug.traceback("x"))
  return table.concat(told, "\n")
end)
