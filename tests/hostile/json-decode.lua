-- tries: texts that are hard to read: open brackets only, numbers of a megabyte, nothing but escapes, the same key
--   a hundred thousand times, keys by the hundred thousand
-- must: errors of the script, memory within the cap, or the deadline
-- trigger: request
-- events: 8
-- expect: 500 or 200
return require "attack" (function(_, request)
  local texts = {
    ("["):rep(2000000),
    ("9"):rep(2000000),
    "0." .. ("1"):rep(2000000) .. "e-400",
    '"' .. ("\\u0041"):rep(300000) .. '"',
    "[" .. ("{},"):rep(200000) .. "{}]",
    "{" .. ('"k":1,'):rep(200000) .. '"k":1}',
    ("[[[[[[[["):rep(15) .. ("]]]]]]]]"):rep(15),
    '{"a":' .. ("1e1,"):rep(200000),
  }
  local text = texts[tonumber(request.query.n)]
  for _ = 1, 100 do pcall(json.decode, text) end
  return "read"
end)
