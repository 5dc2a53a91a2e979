-- tries: twenty rooms that answer at once until they are known for it, and then loop, all at the same time
-- must: others wait for one handler, not for twenty
-- trigger: message
-- rooms: 20
-- events: 80
-- limits: roomMemory = 1048576
-- expect: open
return require "attack" (function(self)
  self.count = (self.count or 0) + 1
  while self.count % 40 == 0 do end
end)
