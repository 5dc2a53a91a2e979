-- Tic-tac-toe. Shows a game whose server alone knows what is allowed: clients send wishes and get the whole board.
-- A player is an id (_pk), so who reloads the page or loses the network has its seat back; after half a minute
-- it is free. Others watch.
--
-- A client sends {"cell":1} … {"cell":9}, or {"again":true} when a game is over. It gets
-- {"board":["X","",…], "turn":"X", "winner":"", "line":[…], "you":"X", "seats":{"X":"here"}} with each change;
-- a seat is free, here or away; you is "" for those who watch.
local check = require "check"

local Game = {}

Game.options = { duplicateId = "replace", persist = true }

local GRACE = 30 * 1000 -- ms that a seat is kept

local LINES = {
  { 1, 2, 3 }, { 4, 5, 6 }, { 7, 8, 9 }, { 1, 4, 7 }, { 2, 5, 8 }, { 3, 6, 9 }, { 1, 5, 9 }, { 3, 5, 7 },
}

local timers = {} -- seat to timer; not in self, which is stored

function Game:onStart(restored)
  if not restored then
    self.seats = {} -- "X" and "O" to the id of who plays it
    self.first = "X"
    self:deal()
  end
  for seat, id in pairs(self.seats) do
    if not party.getConnection(id) then self:wait(seat) end
  end
end

function Game:deal()
  self.board = { "", "", "", "", "", "", "", "", "" }
  self.turn, self.winner, self.line = self.first, "", {}
end

function Game:seatOf(id)
  for _, seat in ipairs({ "X", "O" }) do
    if self.seats[seat] == id then return seat end
  end
end

function Game:state(seat)
  if not self.seats[seat] then return "free" end
  return party.getConnection(self.seats[seat]) and "here" or "away"
end

function Game:show()
  for connection in party.getConnections() do
    connection:send({
      board = self.board,
      turn = self.turn,
      winner = self.winner,
      line = json.array(self.line),
      you = self:seatOf(connection.id) or "",
      seats = { X = self:state("X"), O = self:state("O") },
    })
  end
end

-- ---- seats

-- Those who watch move up, the longest here first.
function Game:fill()
  for connection in party.getConnections() do
    local free = not self.seats.X and "X" or not self.seats.O and "O"
    if not free then return end
    if not self:seatOf(connection.id) then self.seats[free] = connection.id end
  end
end

function Game:wait(seat)
  timers[seat] = party.after(GRACE, function()
    timers[seat] = nil
    if self:state(seat) ~= "away" then return end -- a timer of an older version of this script
    self.seats[seat] = nil
    self:deal() -- nobody inherits half a game
    self:fill()
    self:show()
  end)
end

function Game:onConnect(connection)
  local seat = self:seatOf(connection.id)
  if seat and timers[seat] then
    timers[seat]:cancel()
    timers[seat] = nil
  end
  self:fill()
  self:show()
end

function Game:onClose(connection, code)
  local seat = self:seatOf(connection.id)
  if seat and code ~= 4409 then self:wait(seat) end
  self:show()
end

-- ---- the game

-- Puts the mark; nil, and why not.
function Game:play(seat, cell)
  if not seat then return nil, "you are watching" end
  if self.winner ~= "" then return nil, "the game is over" end
  if self:state("X") == "free" or self:state("O") == "free" then return nil, "wait for somebody to play with" end
  if self.turn ~= seat then return nil, "it is not your turn" end
  if self.board[cell] ~= "" then return nil, "that cell is taken" end
  self.board[cell] = seat
  self.turn = seat == "X" and "O" or "X"
  for _, line in ipairs(LINES) do
    local a, b, c = table.unpack(line)
    if self.board[a] ~= "" and self.board[a] == self.board[b] and self.board[b] == self.board[c] then
      self.winner, self.line = seat, line
      return true
    end
  end
  if #table.concat(self.board) == 9 then self.winner = "nobody" end -- one letter in each cell
  return true
end

function Game:onMessage(message, connection, binary)
  local request = check.object(message, binary) or {}
  local seat = self:seatOf(connection.id)
  local cell = check.integer(request.cell, 1, 9)
  if cell then
    local ok, why = self:play(seat, cell)
    if not ok then
      connection:send({ error = why })
      return
    end
  elseif request.again == true and seat and self.winner ~= "" then
    self.first = self.first == "X" and "O" or "X"
    self:deal()
  else
    connection:send({ error = "send a cell from 1 to 9" })
    return
  end
  self:show()
end

return Game
