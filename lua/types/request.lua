---@meta

---An HTTP request, read-only; but for its headers in hooks.
---@class Request
---@field method string
---@field url string absolute
---@field path string
---@field subpath string what follows the room in the path; "/" at least
---@field query table<string, string> of a name that comes twice the first value counts
---@field headers table<string, string> names in any case; repeated ones are joined with ", "
---@field remoteAddress string
---@field body string
local Request = {}

---The body.
---@return string
function Request:text() end

---The body as JSON. Malformed JSON raises an error that, uncaught, answers 400 with line and column.
---@return any
function Request:json() end

---The fields of an application/x-www-form-urlencoded body.
---@return table<string, string>
function Request:form() end

---All values of a name in the query.
---@param name string
---@return string[]
function Request:queryAll(name) end
