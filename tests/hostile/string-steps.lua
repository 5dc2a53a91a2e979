-- tries: single calls of the string library over megabytes, begun when the handler's time is nearly over: %q of control
--   characters, %% again and again, a long needle, options of pack, digits, patterns, replacements, comparisons
-- must: each ends with the handler's time
-- trigger: request
-- events: 10
-- limits: roomMemory = 33554432
-- expect: 500 or 200 done
return require "attack" (function(_, request)
  local began = os.clock()
  local function repeated(text, bytes) return text:rep(bytes // #text) end
  local steps = {
    function() local s = repeated("\0", 3500000) return function() string.format("%q", s) end end,
    function() local s = repeated("%%", 14e6) return function() string.format(s) end end,
    function() local long, p = repeated("a", 14e6), ("a"):rep(1000) .. "b" return function() long:find(p, 1, true) end end,
    function() local s = repeated(" ", 14e6) return function() string.packsize(s) end end,
    function() local s = repeated("1", 14e6) return function() tonumber(s, 36) end end,
    function() local s = repeated("\0", 14e6) return function() return s <= s end end,
    function() local long = repeated("a", 14e6) return function() long:match("%a*b?") end end,
    function() local s = repeated("a", 7e6) .. "+" return function() s:match(s) end end,
    function() local s = repeated("%1", 14e6) return function() (""):gsub("()", s) end end,
    function()
      local t, long = {}, repeated("a", 14e6)
      for i = 1, 2000 do t[i] = long end
      local s = ("%.1s"):rep(2000)
      return function() string.format(s, table.unpack(t)) end
    end,
  }
  local step = steps[tonumber(request.query.n)]()
  while os.clock() - began < 0.2 do end
  for _ = 1, 100 do pcall(step) end
  return "done"
end)
