-- tries: empty broadcasts without an end to five hundred event streams, each of which has a place for each of them
-- must: what is to be sent is bounded, however many get it; memory within the cap; others are served
-- trigger: request
-- streams: 500
-- limits: roomMemory = 33554432
-- expect: 200 sent or 500
-- watch: 1500
return require "attack" (function(_, request)
  if request.subpath == "/events" then return Response.events() end
  for _ = 1, 1e6 do
    if not pcall(party.broadcast, "") then break end
  end
  return "sent"
end)
