// A room whose handlers do not end: it is answered with an error, and the others of its thread go on.

import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { describe, it } from "node:test";

import { config, lua } from "./lib/project.mjs";
import { runFesta, serverForSuite } from "./lib/server.mjs";
import { writeProject } from "./lib/project.mjs";

const ENDLESS = lua`
local Endless, ways = {}, {}

local function forever() while true do end end

function ways.loop() forever() end
function ways.caught() while true do pcall(forever) end end
function ways.handler() xpcall(forever, forever) end
function ways.closed() local x <close> = setmetatable({}, { __close = forever }) forever() end
function ways.coroutine() while true do coroutine.wrap(function() pcall(forever) end)() end end
function ways.pattern() string.find(("a"):rep(100000), (".-"):rep(100) .. "b") end
function ways.empty() string.rep("", 1 << 60) end
function ways.table() table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1) end

function Endless:onRequest(request)
  local way = ways[request.subpath:sub(2)]
  if way then way() end
  return "fine"
end

function Endless:onMessage(message, connection)
  if ways[message] then ways[message]() end
  connection:send(message)
end

return Endless
`;

describe("handlers that do not end", () => {
  const server = serverForSuite({ "parties/main.lua": ENDLESS, "festa.lua": config({ limits: { handlerTime: 250 } }) }, { args: ["--threads", "1"] });

  for (const way of ["loop", "caught", "handler", "closed", "coroutine", "pattern", "empty", "table"]) {
    it(`are ended, while another room of the thread is served: ${way}`, async () => {
      const room = server.room(way);
      const other = await server.socket(`/party/${server.room()}`);
      const from = server.lines.length;
      const ended = server.request(`/party/${room}/${way}`);
      let over = false;
      ended.then(() => (over = true), () => (over = true));
      let longest = 0;
      for (let n = 0; n < 10 || !over; n++) {
        const began = performance.now();
        other.text(String(n));
        assert.equal(await other.message(), String(n));
        longest = Math.max(longest, performance.now() - began);
      }
      console.log(`${way}: another room waited for ${longest.toFixed(0)} ms`);
      const response = await ended;
      assert.equal(response.status, 500);
      const line = await server.waitForLog((l) => l.level === "error" && l.room === room, "the error", { from });
      assert.equal(line.party, "main");
      assert.equal(line.handler, "onRequest");
      assert.match(line.error, /handlerTime = 250 ms/);
      assert.equal(await server.text(`/party/${room}`), "fine", "the room itself goes on");
      other.destroy();
    });
  }

  it("of many rooms take turns with those of others", async () => {
    const hostile = await Promise.all(Array.from({ length: 4 }, () => server.socket(`/party/${server.room()}`)));
    const other = await server.socket(`/party/${server.room()}`);
    for (const socket of hostile) for (let n = 0; n < 3; n++) socket.text("loop");
    const times = [];
    for (let n = 0; n < 5; n++) {
      const began = performance.now();
      other.text(String(n));
      assert.equal(await other.message(), String(n));
      times.push(performance.now() - began);
    }
    console.log(`beside four rooms with three endless handlers each: ${times.map((ms) => ms.toFixed(0)).join(" ")} ms`);
    for (const socket of hostile) {
      socket.text("still there");
      assert.equal(await socket.message(), "still there");
      socket.destroy();
    }
    other.destroy();
  });
});

describe("a party whose file does not end", () => {
  it("stops the start, with the place", async () => {
    const project = await writeProject({
      "parties/main.lua": "local n = 0\nwhile true do n = n + 1 end\nreturn {}\n",
      "festa.lua": config({ limits: { handlerTime: 50 } }),
    });
    try {
      const { code, stderr, stdout } = await runFesta(["check", project.directory]);
      assert.equal(code, 1);
      assert.match(stderr + stdout, /parties\/main\.lua:2: the file scope's time is over \(handlerTime = 50 ms\)/);
    } finally {
      await project.remove();
    }
  });
});
