local room = harness.room("main", "shopping")

local function make(text)
  return room:post("/notes", { json = { text = text } })
end

test("a note that was made is there", function()
  local made = make("milk")
  expect(made.status).equals(201)
  expect(made.headers["Location"]).equals("/parties/main/shopping/notes/1")
  expect(room:get("/notes/1"):json()).equals({ id = 1, text = "milk", at = now() })
end)

test("notes are listed in the order in which they were made", function()
  expect(room:get("/notes").body).equals("[]")
  make("milk")
  make("bread")
  local texts = {}
  for i, note in ipairs(room:get("/notes"):json()) do texts[i] = note.text end
  expect(texts).equals({ "milk", "bread" })
end)

test("a note can be changed and deleted", function()
  make("milk")
  expect(room:request("PUT", "/notes/1", { json = { text = "oat milk" } }):json().text).equals("oat milk")
  expect(room:request("DELETE", "/notes/1").status).equals(204)
  expect(room:get("/notes/1").status).equals(404)
end)

test("numbers are not given twice", function()
  make("milk")
  room:request("DELETE", "/notes/1")
  expect(make("bread"):json().id).equals(2)
end)

test("what is wrong is refused", function()
  expect(room:post("/notes", { body = "{" }).status).equals(400)
  expect(room:post("/notes", { json = { text = 1 } }).status).equals(422)
  expect(room:get("/nothing").status).equals(404)
  local response = room:request("PATCH", "/notes", { json = {} })
  expect(response.status).equals(405)
  expect(response.headers.Allow).equals("GET, POST")
end)

test("a text that is too long is refused, and what was there stays", function()
  expect(make(("x"):rep(64 * 1024)).status).equals(201)
  for _, size in ipairs({ 64 * 1024 + 1, 2 * 1024 * 1024 }) do
    expect(make(("x"):rep(size)).status).equals(413)
    local response = room:request("PUT", "/notes/1", { json = { text = ("y"):rep(size) } })
    expect(response.status).equals(413)
    expect(response:json().error).contains("65536 bytes")
  end
  expect(room:get("/notes/1"):json().text).equals(("x"):rep(64 * 1024))
end)

test("who is connected hears of changes", function()
  local ada = room:connect({ id = "ada" })
  make("milk")
  expect(ada:receiveJson().made.text).equals("milk")
  room:request("DELETE", "/notes/1")
  expect(ada:receiveJson()).equals({ deleted = 1 })
end)

test("notes outlive the server", function()
  make("milk")
  harness.crash()
  expect(room:get("/notes/1"):json().text).equals("milk")
end)
