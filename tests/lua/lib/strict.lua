-- A module as many projects have it: reading or setting a global that was not declared is an error.
local declared = {}
return function()
  setmetatable(_G, {
    __newindex = function(t, name, value)
      if not declared[name] then error("assignment to undeclared variable '" .. tostring(name) .. "'", 2) end
      rawset(t, name, value)
    end,
    __index = function(_, name)
      error("variable '" .. tostring(name) .. "' is not declared", 2)
    end,
  })
end
