-- tries: texts of megabytes where a name is expected, which the message of the error would quote, begun when the
--   handler's time is nearly over
-- must: errors that quote the beginning; each ends with the handler's time
-- trigger: request
-- events: 7
-- limits: roomMemory = 33554432
-- expect: 500 or 200 done
return require "attack" (function(_, request)
  local began = os.clock()
  local long = ("x"):rep(14000000)
  local stub = party.parties.hostile:get("other")
  local wrong = {
    function() return party.parties[long] end,
    function() return Response("", { [long] = 1 }) end,
    function() return Response("", { headers = { [long] = {}, ["x y"] = long } }) end,
    function() return stub:fetch(long) end,
    function() return stub:fetch("/", { method = long }) end,
    function() return party.broadcast("", { [long] = 1 }) end,
    function() return fetch("http://127.0.0.1:1/", { [long] = 1 }) end,
  }
  local call = wrong[tonumber(request.query.n)]
  while os.clock() - began < 0.2 do end
  for _ = 1, 1000 do pcall(call) end
  return "done"
end)
