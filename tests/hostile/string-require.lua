-- tries: names of modules that are all slashes, as many as there is memory for
-- must: refused before they are gone over
-- trigger: request
-- limits: roomMemory = 33554432
-- expect: 200 refused
return require "attack" (function()
  local name = ("/"):rep(1024):rep(14 * 1024) -- in pieces: it is not to take the time that is looked at
  for _ = 1, 1000 do assert(not pcall(require, name)) end
  return "refused"
end)
