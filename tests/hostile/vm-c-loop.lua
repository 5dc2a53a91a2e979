-- tries: a generic for whose iterator is a C function, and a protected call of a C function, so that nearly
--   all time passes in C while no call takes long
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  for _ in rawlen, {} do
    pcall(pcall, pcall, pcall, error)
  end
end)
