-- tries: making a table change between array and hash with each insert, so that all keys are counted each time
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  while true do
    local t = {}
    for i = 1, 60000 do t[i] = i end
    for i = 1, 16 do
      t[1 << (40 + i)] = true -- the hash part grows: all of the array is counted
      t[1 << (40 + i)] = nil
    end
  end
end)
