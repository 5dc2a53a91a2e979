---@meta

---What the room keeps in the data folder, across eviction, restarts and kill -9. Every function works as
---`party.storage.f()` and as `party.storage:f()`. What a handler sends after a write leaves the server when the write
---is on the disk.
---@class Storage
party.storage = {}

---@alias Storable boolean|integer|number|string|table

---The value of a key, or nil; of several keys a table of those that are there.
---@overload fun(keys: string[]): table<string, Storable>
---@param key string
---@return Storable?
function party.storage.get(key) end

---Stores one value, or those of a table.
---@overload fun(values: table<string, Storable>)
---@param key string up to 2048 bytes
---@param value Storable up to 2 MiB
function party.storage.put(key, value) end

---Was the key there? Of several: how many were.
---@overload fun(keys: string[]): integer
---@param key string
---@return boolean
function party.storage.delete(key) end

---@class Storage.Range
---@field prefix? string only keys that begin with it
---@field start? string from this key on
---@field startAfter? string behind this key
---@field finish? string up to this key, without it
---@field reverse? boolean from the end
---@field limit? integer at most so many

---Iterates over keys and values, in the order of the keys' bytes.
---@param options? Storage.Range
---@return fun(): string?, Storable?
function party.storage.list(options) end

---Deletes all keys; the alarm stays.
function party.storage.deleteAll() end

---In a transaction: the functions of party.storage, and rollback.
---@class Transaction: Storage
local Transaction = {}

---Takes back what the transaction has written.
function Transaction:rollback() end

---What fn writes is kept as a whole, or taken back when it raises. Returns what fn returns.
---@generic T
---@param fn fun(txn: Transaction): T?
---@return T?
function party.storage.transaction(fn) end

---Waits until all that was written is on the disk.
function party.storage.sync() end

---onAlarm is called at this time, once, in place of the alarm before.
---@param time number milliseconds since 1970
function party.storage.setAlarm(time) end

---When the room's alarm is; nil in onAlarm, and without one.
---@return integer?
function party.storage.getAlarm() end

function party.storage.deleteAlarm() end
