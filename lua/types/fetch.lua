---@meta

---@class FetchInit
---@field method? string "GET", unless it is said
---@field headers? table<string, string|number|string[]>
---@field body? string
---@field json? any sent as JSON, with the Content-Type for that
---@field timeout? number ms for all of it; with stream until the headers, and then without any progress
---@field redirect? "follow"|"manual"|"error"
---@field stream? boolean the body is read while it comes

---What a server has answered. Read-only.
---@class FetchResponse
---@field status integer
---@field statusText string "" with HTTP/2
---@field ok boolean the status is from 200 to 299
---@field url string where it came from, behind redirects
---@field headers table<string, string> names in any case; repeated ones are joined with ", "
local FetchResponse = {}

---The body, or what is left of it. Waits for its end with stream = true.
---@return string? text nil when it broke off
---@return string? message
---@return string? code
function FetchResponse:text() end

---The body's value. What is not JSON raises. Waits for its end with stream = true.
---@return any value nil when it broke off
---@return string? message
---@return string? code
function FetchResponse:json() end

---Goes over the lines, without their ends; with stream = true while they come. Raises when the body breaks off.
---@return fun(): string?
function FetchResponse:lines() end

---Goes over the body in pieces, as they come. Raises when the body breaks off.
---@return fun(): string?
function FetchResponse:chunks() end

---All values of a header.
---@param name string
---@return string[]
function FetchResponse:headerAll(name) end

---No more of the body is wanted.
function FetchResponse:close() end

---Sends an HTTP request and waits for the response; other events of the room run meanwhile. It leaves when what the
---handler has written is durable.
---@param url string of http or https
---@param init? FetchInit
---@return FetchResponse? response nil when there is none
---@return string? message
---@return "timeout"|"dns"|"connect"|"tls"|"too_large"|"blocked"|"redirect"|"aborted"|"network"|"too_many"|nil code
function fetch(url, init) end
