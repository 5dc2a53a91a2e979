-- A poll. Shows storage, one vote for each client's id, and a room that is made by a request and then used by
-- sockets.
--
--   POST /parties/poll/:room {"question":"Tea?","options":["yes","no"]}   opens it: 201, or 409 if it is open
--   GET  /parties/poll/:room                                             the poll, or 404
--
-- A socket sends {"vote":2} (the second option), again to change it, {"vote":0} to take it back. It gets
-- {"poll":{question, options:[{text, votes}], mine}} on arrival and whenever somebody has voted.
-- The id that a client keeps (_pk) is its vote's name; that stops mistakes, not cheats.
local check = require "check"

local Poll = {}

function Poll:onStart()
  self.poll = party.storage.get("poll")
  self.votes = {}
  for key, option in party.storage.list({ prefix = "vote:" }) do
    self.votes[key:sub(#"vote:" + 1)] = option
  end
end

function Poll:view(voter)
  if not self.poll then return { poll = json.null } end
  local options = {}
  for n, text in ipairs(self.poll.options) do options[n] = { text = text, votes = 0 } end
  for _, option in pairs(self.votes) do options[option].votes = options[option].votes + 1 end
  return { poll = { question = self.poll.question, options = options, mine = self.votes[voter] or 0 } }
end

function Poll:show()
  for connection in party.getConnections() do
    connection:send(self:view(connection.id))
  end
end

function Poll:onConnect(connection)
  connection:send(self:view(connection.id))
end

function Poll:onMessage(message, connection, binary)
  local request = check.object(message, binary) or {}
  local vote = self.poll and check.integer(request.vote, 0, #self.poll.options)
  if not vote then
    connection:send({ error = self.poll and "there is no such option" or "there is no poll here yet" })
    return
  end
  local key = "vote:" .. connection.id
  if vote == 0 then
    self.votes[connection.id] = nil
    party.storage.delete(key)
  else
    self.votes[connection.id] = vote
    party.storage.put(key, vote)
  end
  self:show()
end

-- The poll in a request's body, or nil and what is wrong with it.
local function parse(payload)
  if type(payload) ~= "table" then return nil, "the body is to be an object" end
  local question = check.text(payload.question, 200)
  if not question then return nil, "a question has 1 to 200 characters" end
  if type(payload.options) ~= "table" then return nil, "options are to be an array" end
  local options, seen = {}, {}
  for n, given in ipairs(payload.options) do
    local option = check.text(given, 80)
    if not option then return nil, "an option has 1 to 80 characters" end
    if seen[option] then return nil, "two options are the same" end
    seen[option] = true
    options[n] = option
  end
  if #options < 2 or #options > 8 then return nil, "a poll has 2 to 8 options" end
  return { question = question, options = options }
end

function Poll:onRequest(request)
  if request.method == "GET" then
    if not self.poll then return Response.json({ error = "there is no poll here yet" }, { status = 404 }) end
    return self:view()
  end
  if request.method ~= "POST" then
    return Response("Method not allowed", { status = 405, headers = { Allow = "GET, POST" } })
  end
  if self.poll then return Response.json({ error = "there is a poll here already" }, { status = 409 }) end
  local poll, problem = parse(request:json())
  if not poll then return Response.json({ error = problem }, { status = 400 }) end
  self.poll = poll
  party.storage.put("poll", poll)
  self:show()
  return Response.json(self:view(), { status = 201 })
end

return Poll
