-- tries: requests that are kept, with bodies of a megabyte that nobody has read
-- must: their bodies count as the room's: the fifth or so gets 500
-- trigger: request
-- events: 40
-- body: 1000000
-- expect: 200 kept or 500
return require "attack" (function(self, request)
  self.kept = self.kept or {}
  table.insert(self.kept, request)
  return "kept"
end)
