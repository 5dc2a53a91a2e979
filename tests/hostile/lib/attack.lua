-- What all hostile parties share: return require "attack" (function(self, given) … end [, handlers]).
-- The function is called for a request (given it) and for a message (given its connection); /good,
-- /keep and /kept are for the driver, which sees by them that a room serves and what it knows.

return function(attack, Party)
  Party = Party or {}

  function Party:onRequest(request)
    if request.subpath == "/good" then return "good" end
    if request.subpath == "/keep" then
      secret = request.body
      self.secret = request.body
      return "kept"
    end
    if request.subpath == "/kept" then return self.secret .. " " .. tostring(secret) end
    return attack(self, request)
  end

  Party.onMessage = Party.onMessage or function(self, message, connection)
    if message == "good" then return connection:send("good") end
    return attack(self, connection, message)
  end

  return Party
end
