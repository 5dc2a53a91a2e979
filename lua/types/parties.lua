---@meta

---The project's parties, by name. A name that there is not raises.
---@class Parties
---@field [string] Rooms
party.parties = {}

---The rooms of a party.
---@class Rooms
---@field name string the party's
local Rooms = {}

---A stub of the room with this id, which need not be there yet.
---@param id string
---@return Stub
function Rooms:get(id) end

---@class party.ListOptions
---@field prefix? string of the ids
---@field after? string only ids behind this one
---@field limit? integer 1 to 1000; 100

---@class party.Room
---@field id string
---@field connections integer how many are open
---@field lastActive integer? ms since 1970; nil: it is not in memory

---The rooms that are in memory or have something stored, by id. Waits.
---@param options? party.ListOptions
---@return party.Room[]
function Rooms:list(options) end

---Another room.
---@class Stub
---@field id string
---@field party string the party's name
local Stub = {}

---Calls the room's method of this name; values are copied. Waits.
---@param name string
---@param ... any
---@return any ... what it returns; or nil and a message
function Stub:call(name, ...) end

---@class party.FetchOptions
---@field method? string GET, or POST with a body
---@field headers? table<string, string|string[]>
---@field body? string
---@field json? any

---A request to the room. Waits.
---@param path? string begins with "/"
---@param init? party.FetchOptions
---@return Reply
---@overload fun(self: Stub, init: party.FetchOptions): Reply
function Stub:fetch(path, init) end

---@class party.ConnectOptions
---@field headers? table<string, string|string[]>
---@field id? string the connection's; else the path's `_pk`, or a random one

---A connection to the room. Waits until it is let in.
---@param path? string begins with "/"
---@param init? party.ConnectOptions
---@return Socket? socket nil: it was not let in
---@return string? message why not
---@overload fun(self: Stub, init: party.ConnectOptions): Socket?, string?
function Stub:connect(path, init) end

---What another room has answered.
---@class Reply
---@field status integer
---@field ok boolean a status below 300
---@field statusText string
---@field headers table<string, string> in any case
---@field body string
local Reply = {}

---@return string
function Reply:text() end

---The body's value. Malformed JSON raises.
---@return any
function Reply:json() end

---The values of all header fields of that name.
---@param name string
---@return string[]
function Reply:headerAll(name) end

---This room's end of a connection to another room.
---@class Socket
---@field id string the connection's
---@field isOpen boolean
---@field bufferedAmount integer bytes that the other room has not taken
---@field closeCode integer? once it is closed
---@field closeReason string? once it is closed
local Socket = {}

---Sends a message; see party.broadcast for what it may be.
---@param message string|number|table
---@param options? { binary?: boolean }
---@return true? ok
---@return string? err "closed"
function Socket:send(message, options) end

---@param code? integer 1000, 1001, 1003, 1007 to 1014, 3000 to 4999
---@param reason? string
function Socket:close(code, reason) end

---An iterator that waits for each message, and ends when the socket is closed.
---@return fun(): string?, boolean?
function Socket:messages() end
