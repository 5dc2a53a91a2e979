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

html = {}

---Escapes &, <, >, " and '.
---@param text string
---@return string
function html.escape(text) end
