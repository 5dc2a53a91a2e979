-- tries: tables in tables until nothing fits any more, kept by the room for good
-- must: errors; a room that stays over its cap is started anew, so that it serves again
-- trigger: request
-- events: 5
-- expect: 500 or 200
return require "attack" (function(self)
  self.kept = self.kept or {}
  while true do self.kept[#self.kept + 1] = { {}, {}, {} } end
end)
