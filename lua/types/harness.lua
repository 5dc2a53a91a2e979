---@meta

---What files of tests (tests/*_test.lua, run by `festa test`) find besides what parties have.
harness = {}

---A room of the project; it is made when something is done with it.
---@param party? string "main"
---@param id? string "test"
---@return Harness.Room
function harness.room(party, id) end

---Sends a request to a URL that is no room's, for onFetch of the party main, and returns its answer.
---@param method string
---@param path? string "/"
---@param options? Harness.RequestOptions
---@return Harness.Response
function harness.request(method, path, options) end

---@param path? string "/"
---@param options? Harness.RequestOptions
---@return Harness.Response
function harness.get(path, options) end

---@param path? string "/"
---@param options? Harness.RequestOptions
---@return Harness.Response
function harness.post(path, options) end

---The same without waiting for its answer, for an onFetch that waits.
---@param method string
---@param path? string "/"
---@param options? Harness.RequestOptions
---@return Harness.Pending
function harness.begin(method, path, options) end

---Runs a cron of the configuration now, whenever it is due, unless its run before is not over.
---@param name string
function harness.cron(name) end

---Lets so many milliseconds pass: timers, alarms, crons and sleeps that fall due run in order.
---@param ms number
function harness.advance(ms) end

---The server is stopped, with onStop in every room, and started again: what was stored is there.
function harness.restart() end

---The server is killed, and started again.
function harness.crash() end

---What handlers have raised that was nobody's answer. A test that does not ask fails for it.
---@return string[]
function harness.errors() end

---@class Harness.FetchRequest
---@field url string
---@field method string
---@field headers table<string, string> names in any case
---@field body string
---@field json fun(): any

---What parties fetch from URLs like this (a Lua pattern, or a plain beginning) is answered by fn. The newest counts.
---A fetch that nobody answers fails, and the test with it.
---@param pattern string
---@param fn fun(request: Harness.FetchRequest): Response|string|table
function harness.fetch(pattern, fn) end

---@class Harness.ConnectOptions
---@field id? string the client's id; a random UUID without it
---@field query? table<string, string|number>
---@field headers? table<string, string|string[]>
---@field path? string what follows the room in the URL

---@class Harness.RequestOptions
---@field json? any sent as JSON
---@field body? string|number
---@field headers? table<string, string|string[]>
---@field query? table<string, string|number>

---@class Harness.Room
---@field id string
---@field party string
---@field storage Harness.Storage what the room has stored
local Room = {}

---A WebSocket client that connects. It is let in, refused or closed when this returns, unless onConnect waits.
---@param options? Harness.ConnectOptions
---@return Harness.Client
function Room:connect(options) end

---Sends a request and returns its answer. path is what follows the room in the URL.
---@param method string
---@param path? string
---@param options? Harness.RequestOptions
---@return Harness.Response
function Room:request(method, path, options) end

---@param path? string
---@param options? Harness.RequestOptions
---@return Harness.Response
function Room:get(path, options) end

---@param path? string
---@param options? Harness.RequestOptions
---@return Harness.Response
function Room:post(path, options) end

---Sends a request without waiting for its answer, for handlers that wait.
---@param method string
---@param path? string
---@param options? Harness.RequestOptions
---@return Harness.Pending
function Room:begin(method, path, options) end

---The room leaves memory, as it does when it has been idle; the next event makes it anew.
function Room:evict() end

---Has it a VM?
---@return boolean
function Room:isInMemory() end

---@class Harness.Storage
local RoomStorage = {}

---@param key string
---@return Storable?
function RoomStorage:get(key) end

---@return table<string, Storable>
function RoomStorage:all() end

---@return integer?
function RoomStorage:getAlarm() end

---@class Harness.Pending
local Pending = {}

---@return boolean
function Pending:isAnswered() end

---The answer; it must be there.
---@return Harness.Response
function Pending:response() end

---@class Harness.Response
---@field status integer
---@field ok boolean
---@field headers table<string, string> names in any case
---@field body string
---@field error string? what the handler raised
local HarnessResponse = {}

---@return string
function HarnessResponse:text() end

---@return any
function HarnessResponse:json() end

---@class Harness.Client
---@field id string
---@field state "connecting"|"open"|"closed"|"refused"
---@field isOpen boolean
---@field unread integer messages that were not received
---@field code integer? of a closed connection
---@field reason string
---@field refusal { status: integer, body: string }?
local Client = {}

---Sends a string or a number as text, a table as JSON.
---@param message string|number|table
---@param options? { binary?: boolean }
function Client:send(message, options) end

---The oldest message that was not read. Fails when there is none.
---@return string message
---@return boolean binary
function Client:receive() end

---The same, read as JSON.
---@return any
function Client:receiveJson() end

---All that was not read.
---@return string[]
function Client:receiveAll() end

---Closes the connection, as a client does.
---@param code? integer
---@param reason? string
function Client:close(code, reason) end

---The connection is lost: 1006 for the room.
function Client:drop() end

---@class Harness.Test
---@field skip fun(name: string, fn?: fun()) listed, and not run
---@overload fun(name: string, fn: fun())
test = {}

---A group of tests, with hooks of its own.
---@param name string
---@param fn fun()
function describe(name, fn) end

---Runs before each test of the group.
---@param fn fun()
function beforeEach(fn) end

---Runs behind each test of the group, also behind one that failed.
---@param fn fun()
function afterEach(fn) end

---@class Harness.Expectation
---@field equals fun(expected: any) deep equality
---@field notEquals fun(other: any)
---@field contains fun(part: any) a part of a string, or an element of a table
---@field matches fun(pattern: string) a string, by a Lua pattern
---@field isNil fun()
---@field isTruthy fun()
---@field isFalsy fun()
---@field isAtLeast fun(limit: number)
---@field isAtMost fun(limit: number)
---@field raises fun(pattern?: string) a function that raises, by a Lua pattern

---What was seen, to be compared: expect(x).equals(y).
---@param seen any
---@return Harness.Expectation
function expect(seen) end
