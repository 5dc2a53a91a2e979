---@meta

---The room that the script runs in. Every function works as `party.f()` and as `party:f()`.
---@class party
---@field id string the room's id; nil in the file scope and in hooks
---@field name string the party's name
---@field env table<string, string> variables: configuration < .env < FESTA_VAR_* < --var
---@field storage Storage what is durable
---@field parties Parties other rooms
party = {}

---@class party.BroadcastOptions
---@field without? Connection|string|(Connection|string)[] whom to leave out
---@field to? string only connections with this tag
---@field binary? boolean a binary message

---Sends one message to every open connection. A string or a number is text, a table is sent as JSON.
---Never raises for one bad peer. Text that is not UTF-8 raises.
---@param message string|number|table
---@param options? Connection|string|(Connection|string)[]|party.BroadcastOptions
function party.broadcast(message, options) end

---The newest open connection with that id.
---@param id string
---@return Connection?
function party.getConnection(id) end

---Iterates over the open connections in the order of their arrival; closing some meanwhile is fine.
---@param tag? string
---@return fun(): Connection?
function party.getConnections(tag) end

---How many connections are open.
---@param tag? string
---@return integer
function party.connectionCount(tag) end

---Calls fn once, ms from now. The timer ends with the room and keeps it in memory.
---@param ms number
---@param fn fun()
---@return Timer
function party.after(ms, fn) end

---Calls fn every ms milliseconds; runs never overlap, a late one is skipped.
---@param ms number at least 1
---@param fn fun()
---@return Timer
function party.every(ms, fn) end

---Ends the room: closes every connection, deletes what it has stored and its alarm, and forgets it. The handler goes on,
---but can't wait any more.
function party.destroy() end

---@class Timer
local Timer = {}

---Ends the timer.
function Timer:cancel() end
