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
