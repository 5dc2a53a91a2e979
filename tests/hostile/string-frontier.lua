-- tries: sets of a hundred thousand characters, looked through for each character of a long text: by %f, by a
--   repetition, by a single step
-- must: the handler ends with an error each time
-- trigger: request
-- events: 3
-- expect: 500
return require "attack" (function(_, request)
  local set, text, n = ("b-d"):rep(50000), ("a"):rep(1000000), request.query.n
  if n == "1" then return tostring(text:find("%f[" .. set .. "]x")) end
  if n == "2" then return tostring(text:find("[^" .. set .. "]*b")) end
  return tostring(text:find("[" .. set .. "]"))
end)
