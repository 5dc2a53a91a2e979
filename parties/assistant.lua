-- A talk with a language model that a whole room sees. Shows an answer that is passed on while it comes: a handler
-- that waits for the next piece lets the room's other events run, so people come, go and read meanwhile.
--
-- A socket sends {"ask":"…"} and gets
--
--   {"turns":[{"role","text"}], "busy":false}       on arrival
--   {"turn":{"role","text"}}                        a question, or the beginning of an answer
--   {"piece":"…"}, then {"done":true}               more of the answer, its end; {"failed":"…"} instead
--
-- POST /parties/assistant/:room {"ask":"…"} answers with the text alone, as it comes: curl -N shows it.
local check = require "check"
local model = require "model"

local Assistant = {}

Assistant.options = { persist = true }

local KEPT = 40    -- turns
local SENT = 2000  -- characters of a question

function Assistant:onStart(restored)
  if not restored then self.turns = {} end
  self.busy = false -- an answer that was cut by a restart stays as far as it came
end

function Assistant:add(role, text)
  local turn = { role = role, text = text }
  table.insert(self.turns, turn)
  while #self.turns > KEPT do table.remove(self.turns, 1) end
  party.broadcast({ turn = turn })
  return turn
end

-- One question at a time. True, or nil and what went wrong.
function Assistant:ask(text, hear)
  self.busy = true
  self:add("user", text)
  local asked = table.move(self.turns, 1, #self.turns, 1, {})
  local answer = self:add("assistant", "")
  local ok, done, problem = pcall(model.answer, asked, function(piece)
    answer.text = answer.text .. piece
    party.broadcast({ piece = piece })
    if hear then hear(piece) end
  end)
  self.busy = false
  if ok and done then
    party.broadcast({ done = true })
    return true
  end
  log.warn("no answer", { error = ok and problem or done })
  party.broadcast({ failed = "There was no answer, or only half of one." })
  return nil, "no answer"
end

function Assistant:onConnect(connection)
  connection:send({ turns = json.array(self.turns), busy = self.busy })
end

function Assistant:onMessage(message, connection, binary)
  local request = check.object(message, binary)
  local text = request and check.text(request.ask, SENT)
  if not text then
    connection:send({ error = "a question has 1 to 2000 characters" })
  elseif self.busy then
    connection:send({ error = "one question at a time" })
  else
    self:ask(text)
  end
end

function Assistant:onRequest(request)
  if request.method ~= "POST" then
    return Response("Method not allowed", { status = 405, headers = { Allow = "POST" } })
  end
  local payload = request:json()
  local text = type(payload) == "table" and check.text(payload.ask, SENT)
  if not text then return Response("a question has 1 to 2000 characters", { status = 400 }) end
  if self.busy then return Response("one question at a time", { status = 409 }) end
  return Response.stream(function(stream) -- runs when the client wants the first byte, which may be never
    if self.busy then return stream:write("one question at a time") end
    local heard = function(piece) pcall(stream.write, stream, piece) end -- who leaves does not end it for the room
    if not self:ask(text, heard) then error("the model has not answered to its end") end
  end)
end

return Assistant
