local board = require "board"

local room = harness.room("main", "table-1")

-- What the client was told last.
local function last(client)
  local messages = client:receiveAll()
  return json.decode(messages[#messages])
end

local function start()
  return room:connect({ id = "ada" }), room:connect({ id = "bob" })
end

test("the first two play, the third watches", function()
  local ada, bob = start()
  local carl = room:connect({ id = "carl" })
  expect(last(ada).you).equals("X")
  expect(last(bob).you).equals("O")
  expect(last(carl).you).isNil()
  carl:send({ place = 1 })
  expect(last(carl).error).equals("you are watching")
end)

test("three in a row win", function()
  local ada, bob = start()
  for _, move in ipairs({ { ada, 1 }, { bob, 4 }, { ada, 2 }, { bob, 5 }, { ada, 3 } }) do
    move[1]:send({ place = move[2] })
  end
  local game = last(bob)
  expect(game.winner).equals("X")
  expect(game.board).equals({ "X", "X", "X", "O", "O", "-", "-", "-", "-" })
  bob:send({ again = true })
  expect(last(ada).winner).isNil()
end)

test("moves out of turn, and to a place that is taken, are refused", function()
  local ada, bob = start()
  bob:send({ place = 1 })
  expect(last(bob).error).equals("it is not your turn")
  ada:send({ place = 1 })
  bob:send({ place = 1 })
  expect(last(bob).error).equals("there is no free place")
  bob:send("nonsense")
  expect(last(bob).error).equals("a move is an object")
end)

test("a player who comes back in time keeps the seat", function()
  local ada, bob = start()
  ada:send({ place = 5 })
  bob:drop()
  harness.advance(29 * 1000)
  bob = room:connect({ id = "bob" })
  harness.advance(60 * 1000)
  local game = last(bob)
  expect(game.you).equals("O")
  expect(game.board[5]).equals("X")
end)

test("a player who does not come back loses it", function()
  local ada, bob = start()
  bob:drop()
  harness.advance(30 * 1000)
  expect(last(ada).full).equals(false)
  expect(last(room:connect({ id = "carl" })).you).equals("O")
end)

test("the game outlives a restart", function()
  start():send({ place = 9 })
  harness.restart()
  local ada = room:connect({ id = "ada" })
  expect(last(ada).board[9]).equals("X")
end)

test("a full board is a draw", function()
  expect(board.winner({ "X", "O", "X", "X", "O", "O", "O", "X", "X" })).equals("draw")
end)
