-- tries: log lines that look like others: line breaks, fields named like the log's own, texts that are no UTF-8,
--   NULs, JSON in fields, fields of other types, too many of them
-- must: one JSON object for each line, with the party and room that it came from
-- trigger: request
-- expect: 200 logged
local forged = '"}\n{"ts":"2020-01-01T00:00:00Z","level":"info","msg":"forged","forged":true}\n'

return require "attack" (function()
  for _, text in ipairs { forged, "\27[2J", "a\0b", "\xff\xfe\xed\xa0\x80", ("\\"):rep(100000), "\u{2028}\u{2029}\u{7f}", ("\u{10ffff}"):rep(20000) } do
    print(text)
    print(text, text)
    for _, level in ipairs { "debug", "info", "warn", "error" } do
      log[level](text, { ts = text, level = text, msg = text, party = "other", room = "other", cut = text, [text] = text })
      pcall(log[level], text, { a = { b = text } })
      pcall(log[level], text, { a = 0 / 0, b = 1 / 0, c = print })
      pcall(log[level], text, { [1] = text, [true] = 1 })
      pcall(log[level], { text }, text)
    end
  end
  local many = {}
  for i = 1, 10000 do many["f" .. i] = i end
  pcall(log.info, "many", many)
  return "logged"
end)
