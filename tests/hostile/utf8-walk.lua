-- tries: utf8 functions over megabytes in one call each: len, offset over continuation bytes, codepoint of
--   everything, codes of what is no UTF-8
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  local text, tail = ("\u{10FFFF}"):rep(500000), ("\x80"):rep(2000000)
  while true do
    utf8.len(text)
    utf8.len(text, 1, -1, true)
    utf8.offset(text, 400000)
    pcall(utf8.offset, tail, 0, #tail)
    pcall(utf8.offset, "x" .. tail, -1)
    pcall(utf8.codepoint, text, 1, -1)
    pcall(function() for _ in utf8.codes(tail) do end end)
  end
end)
