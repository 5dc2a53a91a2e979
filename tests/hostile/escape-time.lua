-- tries: os.date and os.time with all conversions, years that no calendar has, formats of a megabyte
-- must: results or errors, no crash
-- trigger: request
-- expect: 200 safe
return require "attack" (function()
  for byte = 0, 255 do
    for _, modifier in ipairs { "%", "%E", "%O", "!%", "%-", "%_", "%10" } do
      for _, time in ipairs { 0, -1, 1 << 31, -(1 << 31), 1 << 55, math.maxinteger, math.mininteger } do
        pcall(os.date, modifier .. string.char(byte), time)
      end
    end
  end
  for _, time in ipairs { 0, 1 << 55, math.maxinteger, math.mininteger } do
    pcall(os.date, "*t", time)
    pcall(os.date, "!*t", time)
  end
  for _, year in ipairs { 0, -1, 1 << 31, (1 << 31) + 1900, math.maxinteger, math.mininteger, "x", 1.5 } do
    pcall(os.time, { year = year, month = year, day = year, hour = year, min = year, sec = year, isdst = year })
    pcall(os.time, { year = 2000, month = 1, day = year })
  end
  pcall(os.time, setmetatable({}, { __index = function(_, key) return key == "isdst" or 1 << 40 end }))
  pcall(os.date, ("%Y"):rep(500000))
  pcall(os.difftime, math.maxinteger, math.mininteger)
  return "safe"
end)
