-- An arena at 20 Hz: run about, catch the star. Shows a game loop: clients send what they want (a direction), the
-- server moves everybody in one place, and all get the same picture of the world, which their pages draw a little
-- late and smoothly.
--
-- A client names itself, ?name=Anna, and sends {"x":-1,"y":0}, where it wants to go. It gets
--
--   {"you":3, "width":…, "height":…, "hz":20}                          once
--   {"t":now, "star":[x,y], "players":[[n,x,y,score], …]}              20 times a second
--   {"names":{"3":"Anna"}}                                             whenever somebody comes or goes
local check = require "check"

local Arena = {}

local WIDTH, HEIGHT = 800, 500
local HZ = 20
local SPEED = 220 / HZ -- in one step
local RADIUS = 14      -- of a player
local REACH = 22       -- how near the star has to be
local MARGIN = 30      -- how far from the walls players and stars appear

function Arena:onStart()
  self.players = {} -- by number
  self.last = 0
  self:drop()
end

function Arena:drop()
  self.star = { math.random(MARGIN, WIDTH - MARGIN), math.random(MARGIN, HEIGHT - MARGIN) }
end

-- ---- who is here

function Arena:names()
  local names = json.object({})
  for number, player in pairs(self.players) do names[tostring(number)] = player.name end
  party.broadcast({ names = names })
end

function Arena:onConnect(connection, context)
  local name = check.text(context.request.query.name, 20)
  if not name then error({ close = 4400, reason = "the query wants a name of 1 to 20 characters" }) end
  if party.connectionCount() > 32 then error({ close = 4429, reason = "the arena is full" }) end
  self.last = self.last + 1
  connection.state = self.last
  self.players[self.last] = {
    name = name, x = math.random(MARGIN, WIDTH - MARGIN), y = math.random(MARGIN, HEIGHT - MARGIN),
    dx = 0, dy = 0, score = 0,
  }
  connection:send({ you = self.last, width = WIDTH, height = HEIGHT, hz = HZ })
  self:names()
  -- An empty arena stands still, and may leave memory.
  self.clock = self.clock or party.every(1000 // HZ, function() self:step() end)
end

function Arena:onMessage(message, connection, binary)
  local request = check.object(message, binary) or {}
  local x, y = check.number(request.x, -1, 1), check.number(request.y, -1, 1)
  if not x or not y then
    connection:send({ error = "x and y are to be numbers from -1 to 1" })
    return
  end
  local length = math.max(1, math.sqrt(x * x + y * y)) -- nobody is faster across
  local player = self.players[connection.state]
  player.dx, player.dy = x / length, y / length
end

function Arena:onClose(connection)
  self.players[connection.state] = nil
  self:names()
  if not next(self.players) then
    self.clock:cancel()
    self.clock = nil
  end
end

-- ---- the world

-- Walls stop what is as large as a player.
local function within(value, size)
  return math.max(RADIUS, math.min(size - RADIUS, value))
end

function Arena:step()
  local picture = {}
  for number, player in pairs(self.players) do
    player.x = within(player.x + player.dx * SPEED, WIDTH)
    player.y = within(player.y + player.dy * SPEED, HEIGHT)
    local dx, dy = player.x - self.star[1], player.y - self.star[2]
    if dx * dx + dy * dy < REACH * REACH then
      player.score = player.score + 1
      self:drop()
    end
    picture[#picture + 1] = { number, math.floor(player.x + 0.5), math.floor(player.y + 0.5), player.score }
  end
  party.broadcast({ t = now(), star = self.star, players = picture })
end

return Arena
