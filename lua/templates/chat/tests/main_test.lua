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
