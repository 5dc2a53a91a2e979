-- tries: a client's numbers as keys: the script means no harm, whoever sends it the list does
-- must: the insert is quick, or ended with its room
-- trigger: message
-- events: 5
-- expect: open
-- limits: roomMemory = 33554432
return require "attack" (function(self)
  self.byId = self.byId or {}
  -- what json.decode would have given
  local ids, first = {}, (self.first or 0)
  for i = 1, 16384 do ids[i] = tostring((first + i) * 131071) end
  self.first = first + 16384
  for _, id in ipairs(ids) do self.byId[tonumber(id)] = { id = id } end
end)
