-- Tic-tac-toe: the first two who come play, the others watch. A player who loses the connection has half a minute to
-- come back before the seat is free.
local board = require "board"

---@class Game: Party
local Game = {}

-- A second connection of a player takes the place of the first. The game outlives restarts.
Game.options = { duplicateId = "replace", persist = true }

local GRACE_MS = 30 * 1000

function Game:onStart(restored)
  if not restored then
    self.seats = {} -- "X" and "O": the player's id
    self.gone = {} -- players who have left: when, by id
    self:begin()
  end
  for _, id in pairs(self.seats) do self:expect(id) end
end

function Game:begin()
  self.board = board.new()
  self.turn = "X"
  self.winner = nil
end

function Game:seat(id)
  for _, mark in ipairs({ "X", "O" }) do
    if self.seats[mark] == id then return mark end
  end
end

-- Frees the seat of a player who does not come back. Timers outlive a reload, and locals of the file don't: so it is self
-- that says whether the timer still counts. (The timer itself can't be in self, which is stored.)
function Game:expect(id)
  local since = now()
  self.gone[id] = since
  party.after(GRACE_MS, function()
    if self.gone[id] ~= since then return end
    self.gone[id] = nil
    self.seats[self:seat(id)] = nil
    self:begin()
    self:show()
  end)
end

function Game:onConnect(connection)
  local id = connection.id
  self.gone[id] = nil
  for _, mark in ipairs({ "X", "O" }) do
    if not self:seat(id) and not self.seats[mark] then self.seats[mark] = id end
  end
  self:show()
end

function Game:onMessage(text, connection)
  local ok, move = pcall(json.decode, text)
  if not ok or type(move) ~= "table" then
    connection:send({ error = "a move is an object" })
    return
  end
  local problem = self:play(self:seat(connection.id), move)
  if problem then
    connection:send({ error = problem })
  else
    self:show()
  end
end

-- What is wrong with the move, or nil.
function Game:play(mark, move)
  if not mark then return "you are watching" end
  if move.again then
    if not self.winner then return "the game goes on" end
    self:begin()
    return nil
  end
  if not (self.seats.X and self.seats.O) then return "wait for a second player" end
  if self.winner then return "the game is over" end
  if self.turn ~= mark then return "it is not your turn" end
  if self.board[move.place] ~= "-" then return "there is no free place" end
  self.board[move.place] = mark
  self.turn = mark == "X" and "O" or "X"
  self.winner = board.winner(self.board)
end

function Game:onClose(connection)
  if self:seat(connection.id) and not party.getConnection(connection.id) then self:expect(connection.id) end
end

function Game:show()
  for connection in party.getConnections() do
    connection:send({
      board = self.board,
      turn = self.turn,
      winner = self.winner,
      full = self.seats.X ~= nil and self.seats.O ~= nil,
      you = self:seat(connection.id),
    })
  end
end

return Game
