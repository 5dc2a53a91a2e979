---@meta

---`self` in the hooks: made for each call; everything else is looked for in the party.
---@class Lobby
---@field name string the party's name
---@field id string? the room that is asked for; nil in onFetch and onCron

---Where a hook sends a request: what is left out stays as it is.
---@class Lobby.Place
---@field party? string
---@field room? string|number

---What onCron is called for.
---@class Cron
---@field name string
---@field schedule string as configured
---@field scheduledTime integer when it was due, in milliseconds since 1970

---What a party's own table may have that runs without a room. `request.headers` may be changed in the first two: nil
---removes one.
---@class Hooks
---@field onBeforeConnect? fun(self: Lobby, request: Request): nil|Response|Lobby.Place before a WebSocket reaches its room
---@field onBeforeRequest? fun(self: Lobby, request: Request): nil|Response|Lobby.Place before an HTTP request reaches its room
---@field onFetch? fun(self: Lobby, request: Request): Response? main only: a URL that is no room and no static file
---@field onCron? fun(self: Lobby, cron: Cron) main only: a schedule of the configuration is due
