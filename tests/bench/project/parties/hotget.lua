-- Reads a thousand values that the room knows, then answers.
local HotGet = {}

local READS = 1000   -- as harness/modes.mjs has it
local keys = {}
for i = 1, 16 do keys[i] = "key-" .. i end

function HotGet:onStart()
  for i, key in ipairs(keys) do party.storage:put(key, i) end
end

function HotGet:onMessage(message, connection)
  local storage = party.storage
  local found = 0
  for i = 1, READS do
    if storage:get(keys[i % 16 + 1]) then found = found + 1 end
  end
  assert(found == READS)
  connection:send(message)
end

return HotGet
