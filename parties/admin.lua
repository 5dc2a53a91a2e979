-- An operator's view of the rooms of a party; the room's id is the party's name. Shows a hook that stands before
-- all requests, lists of rooms in pieces, and methods of other rooms.
--
--   Authorization: Bearer …                                  the variable ADMIN_TOKEN
--   GET    /parties/admin/chat?prefix=&limit=&after=         {"rooms":[…], "next": the id to go on after}
--   POST   /parties/admin/chat?room=lobby {"announce":"…"}   says it in the room
--   DELETE /parties/admin/chat?room=lobby                    closes the room and forgets all that it has stored
--
-- What a party can do for its operator it has as methods, announce(text) and wipe(); parties/chat.lua has them.
local check = require "check"

local Admin = {}

-- Nobody who is not allowed to makes a room here.
function Admin:onBeforeRequest(request)
  local token = party.env.ADMIN_TOKEN
  if not token then return Response("The variable ADMIN_TOKEN is not set", { status = 503 }) end
  local given = (request.headers.authorization or ""):match("^Bearer (.+)$")
  if not crypto.timingSafeEqual(token, given) then
    return Response("Who are you?", { status = 401, headers = { ["WWW-Authenticate"] = "Bearer" } })
  end
end

function Admin:onBeforeConnect()
  return Response("There are no sockets here", { status = 404 })
end

local function problem(status, message)
  return Response.json({ error = message }, { status = status })
end

local function list(rooms, query)
  local limit = check.integer(math.tointeger(query.limit or 100), 1, 1000)
  if not limit then return problem(400, "limit is to be a number from 1 to 1000") end
  local found = rooms:list({ prefix = query.prefix, after = query.after, limit = limit })
  return { rooms = json.array(found), next = #found == limit and found[#found].id or json.null }
end

-- What the method of that room has returned, as an answer.
local function call(rooms, id, name, ...)
  local done, message = rooms:get(id):call(name, ...)
  if not done then return problem(409, message) end
  return { room = id, done = name }
end

function Admin:onRequest(request)
  local known, rooms = pcall(function() return party.parties[party.id] end)
  if not known or not rooms then return problem(404, "there is no such party") end
  if request.method == "GET" then return list(rooms, request.query) end

  local id = request.query.room
  if not id or id == "" or id:find("/", 1, true) then return problem(400, "the query wants a room") end
  if request.method == "DELETE" then return call(rooms, id, "wipe") end
  if request.method == "POST" then
    local payload = request:json()
    local text = type(payload) == "table" and check.text(payload.announce, 500)
    if not text then return problem(400, "announce is to be a text of up to 500 characters") end
    return call(rooms, id, "announce", text)
  end
  return Response("Method not allowed", { status = 405, headers = { Allow = "GET, POST, DELETE" } })
end

return Admin
