local room = harness.room("main", "lobby")

-- A client that has read what it is greeted with.
local function enter(name)
  local client = room:connect({ query = { name = name } })
  client:receiveAll()
  return client
end

test("a message reaches everybody, with its author's name", function()
  local ada, bob = enter("Ada"), enter("Bob")
  ada:receiveAll()
  ada:send("hi")
  for _, client in ipairs({ ada, bob }) do
    expect(client:receiveJson()).equals({ from = "Ada", text = "hi", at = now() })
  end
end)

test("who comes later sees what was said, also after a restart", function()
  enter("Ada"):send("is anybody here?")
  harness.restart()
  local bob = room:connect({ query = { name = "Bob" } })
  local history = bob:receiveJson().history
  expect(#history).equals(1)
  expect(history[1].text).equals("is anybody here?")
end)

test("the last fifty messages are kept", function()
  local ada = enter("Ada")
  for i = 1, 60 do ada:send("message " .. i) end
  local history = room.storage:get("history")
  expect(#history).equals(50)
  expect(history[1].text).equals("message 11")
end)

test("everybody is told how many there are", function()
  local ada, bob = enter("Ada"), enter("Bob")
  expect(ada:receiveJson()).equals({ online = 2 })
  bob:close()
  expect(ada:receiveJson()).equals({ online = 1 })
end)

test("a message that is too long is refused", function()
  local ada = enter("Ada")
  ada:send(("x"):rep(501))
  expect(ada:receiveJson().error).contains("500 bytes")
end)

test("a name that is no text does not get into the history, and a long one is cut between characters", function()
  enter("\xff"):send("one")
  enter(("ä"):rep(41)):send("two")
  enter(("ä"):rep(40)):send("three")
  enter(""):send("four")
  local history = room:connect():receiveJson().history
  local names = {}
  for i, message in ipairs(history) do names[i] = message.from end
  expect(names).equals({ "somebody", ("ä"):rep(40), ("ä"):rep(40), "somebody" })
end)
