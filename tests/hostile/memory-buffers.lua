-- tries: the largest intermediate results of C functions: gsub, concat, format, rep with a separator, json, html
--   and utf8 that grow a megabyte by eight
-- must: errors, memory within the cap
-- trigger: request
-- events: 2
-- expect: 500 or 200
return require "attack" (function()
  local text = ("&"):rep(1000000)
  local list = {}
  for i = 1, 20000 do list[i] = text end
  local done = 0
  for _, try in ipairs {
    function() return text:gsub(".", ("y"):rep(100)) end,
    function() return table.concat(list) end,
    function() return ("%q"):format(("\0"):rep(4000000)) end,
    function() return text:rep(100, text) end,
    function() return json.encode(list) end,
    function() return json.encode(("\1"):rep(3000000)) end,
    function() return html.escape(text .. text .. text) end,
    function() return Response.json(list) end,
    function() party.broadcast(list) end,
    function() print(table.unpack(list, 1, 100)) end,
    function() log.info(text, { text = text, list = list }) end,
    function() return debug.traceback(text .. text .. text) end,
    function() return load(function() return text end) end,
    function() return os.date(("%c"):rep(400000)) end,
    function() return tostring(setmetatable({}, { __name = text .. text .. text .. text })) end,
  } do
    if pcall(try) then done = done + 1 end
  end
  return "tried"
end)
