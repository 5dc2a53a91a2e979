-- A REST interface to a list of notes; each room is a list of its own. Who has a WebSocket to the room is told of
-- every change.
--
--   GET    /parties/main/LIST/notes        all notes
--   POST   /parties/main/LIST/notes        makes one: {"text": "…"}
--   GET    /parties/main/LIST/notes/ID     one
--   PUT    /parties/main/LIST/notes/ID     changes it: {"text": "…"}
--   DELETE /parties/main/LIST/notes/ID     deletes it
---@class Notes: Party
local Notes = {}

local LONGEST = 64 * 1024 -- bytes of a text; a stored value may have 2 MiB (limits.storageValue)

local function problem(status, message)
  return Response.json({ error = message }, { status = status })
end

local function text_of(request)
  local note = request:json() -- what is no JSON is answered with 400
  if type(note) ~= "table" or type(note.text) ~= "string" or note.text == "" then
    error(problem(422, "a note has a text"))
  end
  if #note.text > LONGEST then error(problem(413, "a text has up to " .. LONGEST .. " bytes")) end
  return note.text
end

local function key_of(id)
  return ("note:%010d"):format(id)
end

local function all()
  local notes = {}
  for _, note in party.storage.list({ prefix = "note:" }) do
    notes[#notes + 1] = note
  end
  return json.array(notes)
end

local function make(request)
  local text = text_of(request)
  local id = (party.storage.get("last") or 0) + 1
  local note = { id = id, text = text, at = now() }
  party.storage.put({ last = id, [key_of(id)] = note })
  party.broadcast({ made = note })
  return Response.json(note, { status = 201, headers = { Location = request.path .. "/" .. id } })
end

local collection = { GET = all, POST = make }

local one = {}

function one.GET(note)
  return note
end

function one.PUT(note, request)
  note.text = text_of(request)
  party.storage.put(key_of(note.id), note)
  party.broadcast({ changed = note })
  return note
end

function one.DELETE(note)
  party.storage.delete(key_of(note.id))
  party.broadcast({ deleted = note.id })
  return Response(nil, { status = 204 })
end

local function refuse(methods)
  local allowed = {}
  for method in pairs(methods) do allowed[#allowed + 1] = method end
  table.sort(allowed)
  return Response.json({ error = "method not allowed" }, { status = 405, headers = { Allow = table.concat(allowed, ", ") } })
end

function Notes:onRequest(request)
  if request.subpath == "/notes" then
    local handle = collection[request.method]
    return handle and handle(request) or refuse(collection)
  end
  local id = request.subpath:match("^/notes/(%d+)$")
  local note = id and #id <= 10 and party.storage.get(key_of(tonumber(id)))
  if not note then return problem(404, "there is no such note") end
  local handle = one[request.method]
  return handle and handle(note, request) or refuse(one)
end

return Notes
