-- tries: an endless loop in a handler
-- must: the handler ends with an error after handlerTime, the request is answered, the room lives
-- trigger: request
-- expect: 500
return require "attack" (function()
  while true do end
end)
