-- tries: table.unpack of ranges that overflow and that just fit the stack, select and pack of their results
-- must: errors in the script, then the deadline; the stack counts as the room's memory
-- trigger: request
-- events: 2
-- expect: 500 or 200 refused
return require "attack" (function(_, request)
  if request.query.n == "1" then
    local refused = 0
    for _, range in ipairs { { 1, math.maxinteger }, { math.mininteger, math.maxinteger }, { -1, 1 << 31 },
                             { math.maxinteger - 2147483647, math.maxinteger }, { 1, 1 << 32 }, { 1, 1000001 } } do
      if not pcall(table.unpack, {}, range[1], range[2]) then refused = refused + 1 end
    end
    assert(select("#", table.unpack({}, math.maxinteger, math.maxinteger)) == 1)
    assert(select("#", table.unpack({}, math.maxinteger, math.mininteger)) == 0)
    return refused == 6 and "refused" or "unpacked"
  end
  while true do
    pcall(function() return select(-1, table.unpack({}, 1, 100000)) end)
    pcall(function() return #table.pack(table.unpack({}, 1, 100000)) end)
  end
end)
