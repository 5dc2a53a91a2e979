-- tries: spoiling what other rooms might share: libraries, the methods of strings, globals, modules, metatables
-- must: this room has itself to blame; all others are as before
-- trigger: request
-- expect: 200 or 500
-- room: lost
return require "attack" (function()
  math.randomseed(42)
  pcall(function() getmetatable("").__index = function() return error end end)
  local names = {}
  for name in pairs(_G) do names[#names + 1] = name end
  for _, name in ipairs(names) do
    local library = _G[name]
    if type(library) == "table" and library ~= _G then
      for key in next, library do library[key] = error end
    end
  end
  for _, name in ipairs(names) do
    if name ~= "_G" then _G[name] = error end
  end
  setmetatable(_G, { __index = error, __newindex = error })
end)
