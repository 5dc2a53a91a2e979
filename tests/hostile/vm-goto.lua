-- tries: a loop of one backward jump
-- must: the handler ends with an error, the request is answered, the room lives
-- trigger: request
-- expect: 500
return require "attack" (function()
  ::again::
  goto again
end)
