-- tries: utf8.char with a quarter of a million arguments, and its largest and impossible codes; charpattern
--   over everything
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  local codes = {}
  for i = 1, 100000 do codes[i] = 0x7FFFFFFF end
  while true do
    pcall(function() return #utf8.char(table.unpack(codes)) end)
    pcall(utf8.char, -1)
    pcall(utf8.char, 0x80000000)
    pcall(function() return (utf8.char(table.unpack(codes)):gsub(utf8.charpattern, "")) end)
  end
end)
