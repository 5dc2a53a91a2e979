---@meta

---@class ResponseInit
---@field status? integer 200 to 599
---@field statusText? string
---@field headers? table<string, string|string[]>

---What a request is answered with. What can't be sent raises when it is made.
---@class Response
---@field status integer
---@field ok boolean
---@field body string?
---@overload fun(body?: string|number, init?: ResponseInit): Response
Response = {}

---@param value any
---@param init? ResponseInit
---@return Response
function Response.json(value, init) end

---@param text string
---@param init? ResponseInit
---@return Response
function Response.html(text, init) end

---@param url string
---@param status? 301|302|303|307|308
---@return Response
function Response.redirect(url, status) end

---The body of an answer, while it is being written.
---@class Stream
---@field isOpen boolean false once the client has gone or the function is over
local Stream = {}

---Waits while much waits for the client; raises when it has gone.
---@param data string|number
function Stream:write(data) end

---An answer whose body the function writes, after onRequest has returned. Its end ends the answer; if it raises, the
---answer is cut.
---@param write fun(stream: Stream)
---@param init? ResponseInit
---@return Response
function Response.stream(write, init) end

---@class EventsOptions
---@field id? string the connection's id; else `_pk`, else a random UUID
---@field tags? string[] up to 9 of 1 to 256 bytes
---@field retry? integer ms after which a browser that lost the stream comes again

---Server-Sent Events: the client becomes a connection of the room that can only listen. For onRequest to return.
---@param options? EventsOptions
---@return Response
function Response.events(options) end

html = {}

---Escapes &, <, >, " and '.
---@param text string
---@return string
function html.escape(text) end
