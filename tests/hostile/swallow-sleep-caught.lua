-- tries: a wait inside of pcall, after which the handler is over its time; the loop that follows swallows
-- must: the handler ends with an error
-- trigger: request
-- expect: 500
return require "attack" (function()
  while true do
    pcall(function()
      sleep(1)
      while true do end
    end)
  end
end)
