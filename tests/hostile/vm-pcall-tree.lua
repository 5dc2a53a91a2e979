-- tries: a tree of protected calls with two branches at each of 180 levels, each of which has two more
--   after an error below
-- must: the handler ends with an error that the levels in between can't swallow
-- trigger: message
-- expect: open
local function branch()
  pcall(branch)
  pcall(branch)
end

return require "attack" (branch)
