-- tries: replacements that no Lua runs for: a table whose __index is a function of C, as often as a text is long
-- must: the handler ends with an error, or is through in time
-- trigger: request
-- expect: 500
return require "attack" (function()
  local text = ("x"):rep(2000000)
  local replace = setmetatable({}, { __index = rawequal })
  while true do pcall(string.gsub, text, "", replace) end
end)
