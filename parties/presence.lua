-- Who reads what, and which links are followed. Shows presence that is right for people with three tabs (a person
-- is an id, not a connection), and counts that are stored by a room of their own: a room is one site.
--
-- A client connects with an id of its own (_pk), ?name=Anna&page=/about, and sends {"page":"/prices"} when it
-- turns to another page, {"follow":"https://lua.org"} when it follows a link. Everybody gets
--
--   {"people":[{"id","name","pages":[…]}]}   whenever that changes
--   {"links":{"https://lua.org":3}}          on arrival, then one link at a time
local check = require "check"

local Presence = {}

local MAX_LINKS = 500

function Presence:onStart()
  self.links = json.object({})
  self.known = 0
  for key, count in party.storage.list({ prefix = "link:" }) do
    self.links[key:sub(#"link:" + 1)] = count
    self.known = self.known + 1
  end
end

function Presence:onConnect(connection, context)
  local query = context.request.query
  local name, page = check.text(query.name, 40), check.text(query.page, 200)
  if not name or not page then error({ close = 4400, reason = "the query wants a name and a page" }) end
  connection.state = { name = name, page = page }
  connection:send({ links = self.links })
  self:announce()
end

function Presence:onMessage(message, connection, binary)
  local request = check.object(message, binary) or {}
  local page, link = check.text(request.page, 200), check.text(request.follow, 500)
  if page then
    connection.state.page = page
    self:announce()
  elseif link and (self.links[link] or self.known < MAX_LINKS) then
    self:count(link)
  else
    connection:send({ error = "send a page or a link" })
  end
end

function Presence:onClose()
  self:announce()
end

function Presence:count(link)
  if not self.links[link] then self.known = self.known + 1 end
  self.links[link] = (self.links[link] or 0) + 1
  party.storage.put("link:" .. link, self.links[link])
  party.broadcast({ links = { [link] = self.links[link] } })
end

function Presence:announce()
  local people, byId = {}, {}
  for connection in party.getConnections() do
    local person = byId[connection.id]
    if not person then
      person = { id = connection.id, name = connection.state.name, pages = {} }
      byId[connection.id] = person
      people[#people + 1] = person
    end
    person.pages[#person.pages + 1] = connection.state.page
  end
  party.broadcast({ people = people })
end

return Presence
