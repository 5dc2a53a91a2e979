---@meta

---A client that is connected to the room.
---@class Connection
---@field id string the client's `_pk`, else a random UUID
---@field uri string the URL that it connected to
---@field tags string[] the id first, then those of getConnectionTags or setTags
---@field state any nil at first; the script's to set
---@field isOpen boolean
---@field kind "websocket"|"events"|"room"
---@field remoteAddress string
---@field bufferedAmount integer bytes not yet written
local Connection = {}

---Sends a message; see party.broadcast for what it may be.
---@param message string|number|table
---@param options? { binary?: boolean }
---@return true? sent
---@return string? error "closed", or that a stream of events can't carry it
function Connection:send(message, options) end

---Replaces the tags; the id stays the first one.
---@param tags string[] up to 9 of 1 to 256 bytes
function Connection:setTags(tags) end

---Begins to close the connection.
---@param code? integer 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999
---@param reason? string cut at 123 bytes
function Connection:close(code, reason) end
