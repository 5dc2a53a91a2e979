-- tries: JSON of eight megabytes that a client sends: numbers of which none ends, the script means no harm
-- must: 400, 500, or through in time
-- trigger: request
-- events: 2
-- body: 8000000
-- text: [1.5e300,
-- expect: 400 or 500 or 200
-- limits: roomMemory = 67108864
return require "attack" (function(_, request)
  return request:json()
end)
