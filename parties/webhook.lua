-- A receiver for webhooks, signed as GitHub signs them. Shows HMAC, a comparison that takes the same time whatever
-- is compared, and deliveries that count once however often they come.
--
--   POST /parties/webhook/:room    202; 401 for a wrong signature; 200 for a delivery that has been here
--   X-Hub-Signature-256: sha256=…  the HMAC of the body, in hex, with the variable WEBHOOK_SECRET
--   X-GitHub-Delivery: …           the delivery's name; X-GitHub-Event: push
--
-- Sockets get {"deliveries":[…]} on arrival, then {"delivery":{…}} for each.
local check = require "check"

local Webhook = {}

local KEPT = 100

local function list(limit)
  local deliveries = {}
  for _, delivery in party.storage.list({ prefix = "delivery:", reverse = true, limit = limit }) do
    deliveries[#deliveries + 1] = delivery
  end
  return json.array(deliveries)
end

function Webhook:onStart()
  self.last = 0
  for key in party.storage.list({ prefix = "delivery:", reverse = true, limit = 1 }) do
    self.last = tonumber(key:sub(#"delivery:" + 1))
  end
end

local function key(n)
  return ("delivery:%010d"):format(n)
end

local function signed(request, secret)
  local hex = (request.headers["x-hub-signature-256"] or ""):match("^sha256=(%x+)$")
  local given = hex and crypto.hex.decode(hex)
  return crypto.timingSafeEqual(crypto.hmac("sha256", secret, request.body), given)
end

function Webhook:onRequest(request)
  if request.method ~= "POST" then
    return Response("Method not allowed", { status = 405, headers = { Allow = "POST" } })
  end
  local secret = party.env.WEBHOOK_SECRET
  if not secret then return Response("The variable WEBHOOK_SECRET is not set", { status = 503 }) end
  -- Before anything else is believed. The body is judged as it came, not as JSON that was read and written again.
  if not signed(request, secret) then return Response("The signature is wrong", { status = 401 }) end

  local id = check.text(request.headers["x-github-delivery"], 100)
  local event = check.text(request.headers["x-github-event"], 50)
  if not id or not event then return Response("The delivery has no name or no event", { status = 400 }) end
  local payload = request:json()
  if type(payload) ~= "table" then return Response("The payload is no object", { status = 400 }) end
  if party.storage.get("seen:" .. id) then return Response("It has been here before") end

  self:keep({ id = id, event = event, at = now(), action = check.text(payload.action, 100), bytes = #request.body })
  return Response("Accepted", { status = 202 })
end

-- The answer leaves when this is on the disk, so what the sender believes is true.
function Webhook:keep(delivery)
  self.last = self.last + 1
  party.storage.put({ [key(self.last)] = delivery, ["seen:" .. delivery.id] = true })
  local old = party.storage.get(key(self.last - KEPT))
  if old then party.storage.delete({ key(self.last - KEPT), "seen:" .. old.id }) end
  party.broadcast({ delivery = delivery })
end

function Webhook:onConnect(connection)
  connection:send({ deliveries = list(20) })
end

return Webhook
