-- A to-do list that several people work on. Shows state that is stored item by item, and pages that do not wait:
-- a client makes up an item's id itself and shows the change at once; the server's word, which all get in the
-- same order, settles what two have changed at the same time.
--
-- A client sends {"put":{"id":"k3x","text":"Milk","done":false}} (new, or all of it anew), {"delete":"k3x"} or
-- {"clear":true} (all that is done). Everybody gets
--
--   {"items":[…]}              on arrival, in the order in which they were made
--   {"put":{…}}, {"delete":id} with each change; {"error":…, "items":[…]} to a client that asked for what can't be
local check = require "check"

local Todo = {}

local MAX = 500

-- An item's key has its place in it, so that a list of the storage is in order.
function Todo:onStart()
  self.items, self.places, self.count, self.last = {}, {}, 0, 0
  for key, item in party.storage.list({ prefix = "item:" }) do
    self:keep(item, tonumber(key:sub(#"item:" + 1)))
  end
end

function Todo:keep(item, place)
  if not self.items[item.id] then self.count = self.count + 1 end
  self.items[item.id], self.places[item.id] = item, place
  self.last = math.max(self.last, place)
end

function Todo:list()
  local items = {}
  for _, item in pairs(self.items) do items[#items + 1] = item end
  table.sort(items, function(a, b) return self.places[a.id] < self.places[b.id] end)
  return json.array(items)
end

local function key(place)
  return ("item:%010d"):format(place)
end

local function parse(value)
  if type(value) ~= "table" then return nil end
  local id, text = check.text(value.id, 40), check.text(value.text, 300)
  if id and text and type(value.done) == "boolean" then return { id = id, text = text, done = value.done } end
end

function Todo:put(item)
  local place = self.places[item.id] or self.last + 1
  self:keep(item, place)
  party.storage.put(key(place), item)
  party.broadcast({ put = item })
end

function Todo:delete(id)
  if not self.items[id] then return end -- somebody was faster
  party.storage.delete(key(self.places[id]))
  self.items[id], self.places[id], self.count = nil, nil, self.count - 1
  party.broadcast({ delete = id })
end

function Todo:onConnect(connection)
  connection:send({ items = self:list() })
end

function Todo:onMessage(message, connection, binary)
  local request = check.object(message, binary) or {}
  local item = parse(request.put)
  if item and (self.items[item.id] or self.count < MAX) then
    self:put(item)
  elseif type(request.delete) == "string" then
    self:delete(request.delete)
  elseif request.clear == true then
    for _, done in ipairs(self:list()) do
      if done.done then self:delete(done.id) end
    end
  else
    connection:send({ error = item and "the list is full" or "that is no item", items = self:list() })
  end
end

return Todo
