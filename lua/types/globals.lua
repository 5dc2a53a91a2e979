---@meta

---Waits; other events of the room run meanwhile.
---@param ms number
function sleep(ms) end

---Milliseconds since 1970.
---@return integer
function now() end

json = {}

---Stands for null where nil can't: in arrays.
json.null = {}

---@param value any
---@param options? { pretty?: boolean }
---@return string
function json.encode(value, options) end

---A null is nil in objects and json.null in arrays, or json.null in both with { null = json.null }.
---@param text string
---@param options? { null?: any }
---@return any
function json.decode(text, options) end

---Marks a table as an array: empty it is `[]`.
---@generic T: table
---@param t T
---@return T
function json.array(t) end

---Marks a table as an object: empty it is `{}`, and integer keys become strings.
---@generic T: table
---@param t T
---@return T
function json.object(t) end


log = {}

---@param message any
---@param fields? table<string, string|number|boolean>
function log.debug(message, fields) end
---@param message any
---@param fields? table<string, string|number|boolean>
function log.info(message, fields) end
---@param message any
---@param fields? table<string, string|number|boolean>
function log.warn(message, fields) end
---@param message any
---@param fields? table<string, string|number|boolean>
function log.error(message, fields) end
