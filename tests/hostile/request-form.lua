-- tries: a form of four million fields that a client sends: the script means no harm
-- must: the handler ends with an error, or is through in time
-- trigger: request
-- events: 2
-- body: 8000000
-- text: a&
-- type: application/x-www-form-urlencoded
-- expect: 500 or 200
-- limits: roomMemory = 33554432
return require "attack" (function(_, request)
  return tostring(request:form().a)
end)
