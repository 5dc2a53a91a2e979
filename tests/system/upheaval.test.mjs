// Everything that goes from thread to thread at once, while clients leave, rooms end, the project is reloaded, and the
// server stops in the middle of it: it ends in order, whatever was under way. What is wrong here the sanitizers tell, and
// the counts of what is under way, without which the server would not end. The moments are left to chance: here alone
// something waits for a time, to be in the midst of it, and no time decides whether the test passes.

import assert from "node:assert/strict";
import { it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { SANITIZED, serverFor } from "./lib/server.mjs";

const ROUNDS = SANITIZED ? 6 : 4;
const ROOMS = 12;
const CLIENTS = 40;

const LIMITS = {
  stopTimeout: 300, closeTimeout: 300, callTimeout: 200, handlerTime: 100, roomMemory: 2 * 1024 * 1024, idleRoom: 100, pingInterval: 1000,
};

const PARTY = lua`
local Main = {}

local function any() return "r" .. math.random(${ROOMS}) end
local function other() return party.parties.main:get(any()) end
local function nap() sleep(math.random(0, 30)) end

function Main:onStart() self.sockets = {} end

local ways = {}
function ways.call(self) return tostring(other():call("wait", math.random(0, 60))) end
function ways.calls(self) return tostring(other():call("nest", math.random(0, 6))) end
function ways.fetch(self) return other():fetch("/" .. ({ "call", "store", "text", "stream", "late", "raise" })[math.random(6)], { body = "b" }) and "fetched" end
function ways.store(self) party.storage.put("k" .. math.random(5), ("v"):rep(math.random(2000))) return tostring(other():call("wait", 1)) end
function ways.list(self) return tostring(#party.parties.main:list()) end
function ways.text(self) return ("text "):rep(math.random(5000)) end
function ways.late(self) nap() return { late = true } end
function ways.raise(self) nap() error("raised") end
function ways.destroy(self) if math.random(4) == 1 then party.destroy() end return "destroyed" end
function ways.loop(self) if math.random(4) == 1 then while true do end end return "looped" end
function ways.hoard(self) if math.random(4) == 1 then self.hoard = {} for i = 1, 1e6 do self.hoard[i] = ("h"):rep(20000) .. i end end return "hoarded" end
function ways.events(self) return Response.events() end

function ways.stream(self)
  return Response.stream(function(stream)
    for i = 1, math.random(20) do
      stream:write(("piece "):rep(math.random(3000)))
      if math.random(3) == 1 then party.broadcast("streamed " .. i) end
      if math.random(3) == 1 then nap() end
      if math.random(30) == 1 then error("cut") end
    end
  end)
end

function ways.link(self)
  local socket = other():connect(math.random(4) == 1 and "/refused" or "/linked")
  if not socket then return "refused" end
  for i = 1, math.random(8) do socket:send(("m"):rep(math.random(500))) end
  local how = math.random(4)
  if how == 1 then return "left open" end
  if how == 2 then socket:close(4000, "enough") end
  if how == 3 then table.insert(self.sockets, socket) return "kept" end
  for message in socket:messages() do
    if message == "last" or math.random(6) == 1 then break end
  end
  socket:close()
  return "closed"
end

function Main:onRequest(request)
  local way = ways[(request.subpath:match("^/(%a+)"))]
  return way(self)
end

function Main:onConnect(connection, context)
  if context.request.subpath == "/refused" then nap() error({ close = 4001, reason = "refused" }) end
  if math.random(5) == 1 then nap() end
  connection:send("welcome")
end

function Main:onMessage(message, connection)
  if math.random(8) == 1 then connection:close(4002, "that will do") return end
  if math.random(8) == 1 then nap() end
  if math.random(3) == 1 then party.broadcast(message) end
  connection:send(math.random(4) == 1 and "last" or message)
end

function Main:wait(ms) sleep(ms) return "waited" end
function Main:nest(n) if n == 0 then nap() return "bottom" end return other():call("nest", n - 1) end

function Main:onStop() if math.random(4) == 1 then nap() end end

local function hook(request)
  if math.random(2) == 1 then sleep(math.random(0, 20)) end
  if math.random(8) == 1 then return Response("not now", { status = 403 }) end
  if math.random(4) == 1 then return { room = any() } end
end
function Main:onBeforeRequest(request) return hook(request) end
function Main:onBeforeConnect(request) return hook(request) end

return Main
`;

const WAYS = ["call", "calls", "fetch", "store", "list", "text", "late", "raise", "destroy", "loop", "hoard", "events", "stream", "link"];

const pick = (list) => list[Math.floor(Math.random() * list.length)];
const ms = (n) => new Promise((done) => setTimeout(done, n));
const path = () => `/parties/main/r${1 + Math.floor(Math.random() * ROOMS)}`;

const alive = (server) => assert.equal(server.exit, undefined, `${JSON.stringify(server.exit)}\n${server.stderr.slice(-8000)}`);

// One client after another, until it is over; each may be refused, cut, or leave.
async function client(server, state) {
  while (!state.over) {
    let connection;
    try {
      if (Math.random() < 0.2) {
        connection = await server.socket(path(), {});
        for (let n = 0; n < 4; n++) connection.send(`hello ${n}`);
        await ms(Math.random() * 60);
      } else {
        connection = await server.connect();
        const requests = 1 + Math.floor(Math.random() * 8);
        for (let n = 0; n < requests; n++) connection.send({ path: `${path()}/${pick(WAYS)}` });
        await ms(Math.random() * 120);
      }
      state.served++;
    } catch {
      state.refused++;
      if (!state.over) await ms(5);
    }
    connection?.destroy?.();
  }
}

it("a server that stops in the middle of everything ends in order", { timeout: 600000 }, async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const server = await serverFor(
      t,
      {
        "parties/main.lua": PARTY,
        "festa.lua": config({ limits: LIMITS }),
      },
      { args: ["--threads", String(2 + (round % 3))] },
    );
    const state = { over: false, served: 0, refused: 0 };
    const clients = Array.from({ length: CLIENTS }, () => client(server, state));
    try {
      for (let n = 0; n < 3; n++) {
        await ms(200 + Math.random() * 400);
        alive(server);
        server.signal("SIGHUP");
      }
      await ms(Math.random() * 300);
      alive(server);
      server.signal("SIGTERM");
      await server.ended();
    } finally {
      state.over = true;
      await Promise.all(clients);
    }
    assert.ok(state.served > 0);
    await server.stop({ signal: null });
  }
});
