-- Publish and subscribe. Shows tags: a topic is a tag, and a broadcast to a tag costs nothing for those who
-- have not got it.
--
--   POST /parties/topics/:room/TOPIC, any body    publishes it; answers {"receivers":n}
--
-- A socket sends {"subscribe":["news","sport"]} (all that it wants, 8 at most, instead of what it had) or
-- {"publish":"news","data":…}. It gets {"topics":[…]} for the one, {"topic":"news","data":…} for what is published.
local check = require "check"

local Topics = {}

local MAX = 8 -- a connection has 9 tags, and its id is one

-- Tags have a prefix, so that no topic can be somebody's id, which is a tag as well.
local function tag(topic)
  return "topic:" .. topic
end

local function topicName(value)
  local name = check.text(value, 50)
  return name and name:match("^[%w._-]+$")
end

local function publish(topic, data)
  local receivers = party.connectionCount(tag(topic))
  if receivers > 0 then party.broadcast({ topic = topic, data = data }, { to = tag(topic) }) end
  return receivers
end

local function subscribe(connection, topics)
  local tags, seen = {}, {}
  for _, value in ipairs(topics) do
    local topic = topicName(value)
    if not topic then return nil end
    if not seen[topic] then tags[#tags + 1] = tag(topic) end
    seen[topic] = true
    if #tags > MAX then return nil end
  end
  connection:setTags(tags)
  return true
end

function Topics:onMessage(message, connection, binary)
  local request = check.object(message, binary) or {}
  local topic = topicName(request.publish)
  if type(request.subscribe) == "table" then
    if not subscribe(connection, request.subscribe) then
      connection:send({ error = "a topic is a word of letters, digits, . _ and -, and there are 8 at most" })
      return
    end
    local topics = {}
    for n = 2, #connection.tags do topics[#topics + 1] = connection.tags[n]:sub(#"topic:" + 1) end
    connection:send({ topics = json.array(topics) })
  elseif topic and request.data ~= nil then
    publish(topic, request.data)
  else
    connection:send({ error = "send subscribe or publish" })
  end
end

function Topics:onRequest(request)
  local topic = topicName(request.subpath:sub(2))
  if not topic then return Response("No such topic", { status = 404 }) end
  if request.method ~= "POST" then
    return Response("Method not allowed", { status = 405, headers = { Allow = "POST" } })
  end
  local json_type = (request.headers["content-type"] or ""):find("^application/json")
  return { receivers = publish(topic, json_type and request:json() or request:text()) }
end

return Topics
