-- tries: many short pieces of work with a wait between them, so that no piece is late
-- must: the time of all pieces counts together, or the room gets no more than its share: others are served
-- trigger: unanswered
-- expect: sent
-- watch: 1500
return require "attack" (function()
  while true do
    local from = now()
    while now() < from + 200 do end
    sleep(0)
  end
end)
