-- tries: modules that cost the compiler time that grows with the square of their length, one at a time and again and
--   again behind pcall
-- must: compiling ends with the handler's time, and nothing of it is kept
-- trigger: request
-- events: 3
-- expect: 500
return require "attack" (function(_, request)
  if request.query.n == "1" then require "heavy.ors" end
  while true do pcall(require, "heavy.ors") end
end)
