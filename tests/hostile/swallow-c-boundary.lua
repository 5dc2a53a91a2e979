-- tries: loops inside of what C calls back: a comparison in a replacement in a __pairs in a reader
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
local function forever() while true do end end

return require "attack" (function()
  while true do
    pcall(load, function()
      pairs(setmetatable({}, {
        __pairs = function()
          ("x"):gsub(".", function()
            table.sort({ 1, 2, 3 }, function() pcall(forever) return false end)
          end)
          return next, {}
        end,
      }))
    end)
  end
end)
