-- A room with a timer at a steady rate. GET starts it, or tells how well it has held: how many runs, and how many of them
-- were how many milliseconds away from when they were due.
local Every = {}

function Every:onStart()
  self.runs, self.away = 0, {}
end

function Every:onRequest(request)
  local rate = tonumber(request.query.rate)
  if not rate then return { runs = self.runs, away = json.array(self.away) } end
  local interval, due = 1000 / rate, nil
  party.every(interval, function()
    local time = now()
    due = due and due + interval or time
    local away = math.min(math.floor(math.abs(time - due)) + 1, 1000)
    for i = #self.away + 1, away do self.away[i] = 0 end
    self.away[away] = self.away[away] + 1
    self.runs = self.runs + 1
  end)
  return "started"
end

return Every
