---@meta

---The second argument of onConnect and getConnectionTags.
---@class Party.Context
---@field request Request the upgrade's request

---What a party's own table may have as `options`.
---@class Party.Options
---@field duplicateId? "allow"|"replace"|"reject" what becomes of connections with the same id
---@field persist? boolean self is kept beyond the room's stay in memory
---@field hibernate? boolean the Lua of an idle room goes while its connections stay

---@alias Party.Answer Response|string|table

---`self` in hooks: made for each call, and everything else is looked for in the party.
---@class Party.Lobby: Party
---@field name string the party's name
---@field id? string the room that is asked for; nil in onFetch and onCron

---Where a hook sends a request: what is left out stays as it is.
---@class Party.Place
---@field party? string
---@field room? string|number

---@alias Party.Decision Response|Party.Place|nil

---What onCron is called for.
---@class Party.Cron
---@field name string
---@field schedule string as configured
---@field scheduledTime integer when it was due, in milliseconds since 1970

---What a party's script returns: its handlers, all of them optional, and whatever else is the script's own. Say
---which table is one, and handlers and their arguments are known:
---
---    ---@class Chat: Party
---    local Chat = {}
---
---    function Chat:onMessage(message, connection)
---@class Party
---@field options? Party.Options
local Party = {}

---The room was made; everything else waits for it.
---@param restored boolean true when `persist` brought self back
function Party:onStart(restored) end

---For each new connection, before onConnect.
---@param connection Connection
---@param context Party.Context
---@return string[]? tags up to 9 of 1 to 256 bytes
function Party:getConnectionTags(connection, context) end

---A client is let in when this returns. Raising closes it with 1011.
---@param connection Connection
---@param context Party.Context
function Party:onConnect(connection, context) end

---A whole message came in.
---@param message string
---@param connection Connection
---@param binary boolean
function Party:onMessage(message, connection, binary) end

---A connection that was let in is gone.
---@param connection Connection
---@param code integer 1006 when it was lost
---@param reason string
---@param clean boolean
function Party:onClose(connection, code, reason, clean) end

---An error of the transport or the protocol; onClose follows.
---@param connection Connection
---@param err string
function Party:onError(connection, err) end

---An HTTP request to the room or below it.
---@param request Request
---@return Party.Answer
function Party:onRequest(request) end

---The room's alarm is due. Raising has it called again, later.
function Party:onAlarm() end

---The party's script was replaced while the room lives.
function Party:onReload() end

---The room is about to leave memory.
function Party:onStop() end

---Before a WebSocket reaches its room: nil lets it go on, a Response is its answer. `self` is a lobby. The headers of
---the request may be changed. Raising answers 401.
---@param request Request
---@return Party.Decision
function Party:onBeforeConnect(request) end

---Before an HTTP request reaches its room: nil lets it go on, a Response is its answer. `self` is a lobby. The headers
---of the request may be changed. Raising answers 401.
---@param request Request
---@return Party.Decision
function Party:onBeforeRequest(request) end

---A URL that is no room and no static file, in the party main alone; nil: 404. `self` is a lobby.
---@param request Request
---@return Response?
function Party:onFetch(request) end

---A schedule of the configuration is due, in the party main alone. `self` is a lobby.
---@param cron Party.Cron
function Party:onCron(cron) end
