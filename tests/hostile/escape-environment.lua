-- tries: variables of the process; writing into party.env and the other tables of party that rooms might share
-- must: FESTA_VAR_* and --var only; what one room writes no other one sees
-- trigger: request
-- expect: 200
return require "attack" (function()
  local names = {}
  for name, value in pairs(party.env) do names[#names + 1] = name .. "=" .. value end
  for _, name in ipairs { "PATH", "HOME", "FESTA_CANARY", "CANARY", "LD_PRELOAD" } do
    names[#names + 1] = tostring(party.env[name])
  end
  party.env.ARMED = "owned"
  party.name = "owned"
  party.id = "owned"
  rawset(party, "broadcast", error)
  rawset(party.env, "OUTSIDE", "owned")
  return table.concat(names, "\n")
end)
