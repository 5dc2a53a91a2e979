-- tries: string.rep to sizes that overflow, that are just refused, and that just fit, and keeping what fits
-- must: errors in the script, memory within the room's cap
-- trigger: request
-- expect: 200 full or 500
return require "attack" (function()
  local kept, refused = {}, 0
  for _, n in ipairs { math.maxinteger, 1 << 62, 1 << 40, 1 << 32, (1 << 31) - 1 } do
    for _, s in ipairs { "x", ("x"):rep(4096) } do
      if not pcall(string.rep, s, n, s) then refused = refused + 1 end
    end
  end
  for size = 22, 4, -1 do
    for i = 1, 100 do
      local ok, s = pcall(string.rep, "x", 1 << size)
      if not ok then break end
      kept[#kept + 1] = s
    end
  end
  return refused == 10 and "full"
end)
